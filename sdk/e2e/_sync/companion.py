"""What is started in an environment beside its workloads, and ends with it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from e2e_api.errors import Conflict, E2EError, NotFound

if TYPE_CHECKING:
    from e2e._sync.environment import Environment
    from e2e._sync.workload import Workload


class Companion:
    """It ends with its block, with `close`, and with the environment; a failure that is kept keeps it."""

    _env: Environment
    _closed = False

    def end(self, *, remove: bool) -> None:
        """Ends what runs in this process; with `remove`, also what nobody else will remove."""
        raise NotImplementedError

    def close(self) -> None:
        """Removes what was added, with all that it has gathered; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        companions = self._env._session.companions
        if self in companions:
            companions.remove(self)
        try:
            self.end(remove=True)
        except BaseException:
            self._closed = False  # it may be tried again
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._give_up(error, keep=self._env.keeps_failures)

    def _accompany(self, *workloads: Workload) -> None:
        """From here on the environment's end is its own. Raises Conflict where a name of its is taken."""
        for workload in workloads:
            self._check_free(workload)
        self._env._session.companions.append(self)

    def _check_free(self, workload: Workload) -> None:
        try:
            workload.status()
        except NotFound:
            return
        raise Conflict(f"environment {self._env.name} has a workload {workload.name} already: give a `name`")

    def _give_up(self, error: BaseException, *, keep: bool = False) -> None:
        """Ends for that error; with `keep`, what it has gathered stays, as evidence."""
        try:
            (self.end(remove=False) if keep else self.close())
        except E2EError as second:
            error.add_note(f"and {self!r} could not be removed: {second}")
