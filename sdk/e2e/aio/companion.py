"""What is started in an environment beside its workloads, and ends with it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from e2e_api.errors import Conflict, E2EError, NotFound

if TYPE_CHECKING:
    from e2e.aio.environment import AsyncEnvironment
    from e2e.aio.workload import AsyncWorkload


class AsyncCompanion:
    """It ends with its block, with `close`, and with the environment; a failure that is kept keeps it."""

    _env: AsyncEnvironment
    _closed = False

    async def end(self, *, remove: bool) -> None:
        """Ends what runs in this process; with `remove`, also what nobody else will remove."""
        raise NotImplementedError

    async def close(self) -> None:
        """Removes what was added, with all that it has gathered; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        companions = self._env._session.companions
        if self in companions:
            companions.remove(self)
        try:
            await self.end(remove=True)
        except BaseException:
            self._closed = False  # it may be tried again
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self._give_up(error, keep=self._env.keeps_failures)

    async def _accompany(self, *workloads: AsyncWorkload) -> None:
        """From here on the environment's end is its own. Raises Conflict where a name of its is taken."""
        for workload in workloads:
            await self._check_free(workload)
        self._env._session.companions.append(self)

    async def _check_free(self, workload: AsyncWorkload) -> None:
        try:
            await workload.status()
        except NotFound:
            return
        raise Conflict(f"environment {self._env.name} has a workload {workload.name} already: give a `name`")

    async def _give_up(self, error: BaseException, *, keep: bool = False) -> None:
        """Ends for that error; with `keep`, what it has gathered stays, as evidence."""
        try:
            await (self.end(remove=False) if keep else self.close())
        except E2EError as second:
            error.add_note(f"and {self!r} could not be removed: {second}")
