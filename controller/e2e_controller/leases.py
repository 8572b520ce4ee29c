"""Leases: clients' claims on environments, and what happens when the last one is gone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from e2e_api.conditions import ConditionType
from e2e_api.errors import Conflict, E2EError
from e2e_api.manifests import Environment
from e2e_controller.directories import Directories
from e2e_controller.events import EventLog
from e2e_controller.intake import Intake
from e2e_controller.marks import Marks
from e2e_controller.objects import environment_key
from e2e_controller.store import Store

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0
"""Seconds between tries to end an environment."""


class Leases:
    """Who holds which environment. A file for each tells a restarted controller what had been held."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        events: EventLog,
        directories: Directories,
        grace: float,
        evicted: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._intake = intake
        self._events = events
        self._marks = Marks(directories.leases)
        self._grace = grace
        self._evicted = evicted
        self._held: dict[str, int] = {}
        self._marked: set[str] = set()
        """Environments that somebody holds or held, until that has had its consequences."""
        self._keep: set[str] = set()
        self._ends: dict[str, asyncio.Task[None]] = {}  # environments whose time runs out

    def count(self, environment: str = "") -> int:
        """How many leases there are, of one environment or of all."""
        return self._held.get(environment, 0) if environment else sum(self._held.values())

    @property
    def idle(self) -> bool:
        """Whether no lease is held and no environment waits for its end."""
        return not self._held and not self._ends

    def recover(self) -> None:
        """At start: what was held before gets a grace time for its clients to come back."""
        marked = self._marks.read()
        self._marked |= marked.keys()
        for environment, keep in marked.items():
            if environment not in self._held:
                if keep:
                    self._keep.add(environment)
                log.info("environment %s was held before the restart", environment)
                self._plan_end(environment)
        for environment in self._store.environments():
            if environment not in marked:
                self._plan_end(environment, only_ttl=True)

    @asynccontextmanager
    async def hold(self, environment: str, *, keep: bool, fresh: bool) -> AsyncIterator[None]:
        """Holds an environment for as long as the context is open.

        With `fresh`, what an earlier run left is removed first. Raises `Conflict` where somebody else
        holds the environment then.
        """
        if fresh and self._held.get(environment):
            message = f"environment {environment} is held by another client; use another name, or wait"
            raise Conflict(message, reason="Held")
        self._held[environment] = self._held.get(environment, 0) + 1
        self._stop_end(environment)
        try:
            if fresh:
                self._keep.discard(environment)  # an earlier holder's wish
                await self._remove_leftovers(environment)
            self._mark(environment, keep=keep or environment in self._keep)
            self._store.pin(environment)
            try:
                yield
            finally:
                self._store.unpin(environment)
        finally:
            self._held[environment] -= 1
            if not self._held[environment]:
                del self._held[environment]
                # A claim that was refused changes nothing for an environment that nobody had held.
                self._plan_end(environment, only_ttl=environment not in self._marked)

    async def delete(self, environment: str) -> None:
        """Deletes what Apply wrote for an environment, now. Who holds it holds it still."""
        await self._intake.delete_environment(environment)
        if self._held.get(environment):
            return
        # What is applied from now on is another's: no end of before may take it.
        self._stop_end(environment)
        try:
            self._unmark(environment)
        except OSError as error:
            log.warning("environment %s stays marked as held: %s", environment, error)

    def environment_changed(self, environment: str) -> None:
        """Its manifest may have another `ttl`, which runs while nobody holds it."""
        if not self._held.get(environment) and environment not in self._marked:
            self._plan_end(environment, only_ttl=True)

    async def close(self) -> None:
        """Stops the clocks; the files stay for the next start."""
        for environment in list(self._ends):
            self._stop_end(environment)

    async def _remove_leftovers(self, environment: str) -> None:
        subscription = self._store.subscribe(lambda key: key.environment == environment)
        try:
            keys = await self._intake.delete_environment(environment)
            if keys:
                log.info("environment %s: removing %d objects of an earlier run", environment, len(keys))
            # Deleting objects of an earlier client are waited for too: their names are still taken.
            while any(o.deleting for o in self._store.select(environment)):
                await subscription.changed()
        finally:
            subscription.close()

    def _plan_end(self, environment: str, *, only_ttl: bool = False) -> None:
        self._stop_end(environment)
        ttl = self._ttl(environment)
        if only_ttl and ttl is None:
            return
        task = asyncio.create_task(self._end(environment, ttl, only_ttl), name=f"end of {environment}")
        self._ends[environment] = task

    async def _end(self, environment: str, ttl: float | None, only_ttl: bool) -> None:
        try:
            if not only_ttl:
                await asyncio.sleep(self._grace)
            if only_ttl or self._is_kept(environment):
                if ttl is None:
                    await self._insist(environment, self._stop_marking)
                    return
                await asyncio.sleep(ttl)
            await self._insist(environment, self._evict)
        finally:
            if self._ends.get(environment) is asyncio.current_task():
                del self._ends[environment]

    async def _insist(self, environment: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Does it in the end: nobody else would, and what fails here (a full disk) may pass."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await work(environment)
                return
            except Exception:  # must be told, since nobody awaits this task
                log.exception("the end of environment %s failed; again in %gs", environment, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    async def _evict(self, environment: str) -> None:
        keys = await self._intake.delete_environment(environment)
        self._unmark(environment)
        if keys:
            message = f"nobody holds it any more: {len(keys)} objects are deleted"
            self._events.record(environment_key(environment), "LeaseEnded", message)
            self._evicted()

    async def _stop_marking(self, environment: str) -> None:
        self._unmark(environment)

    def _is_kept(self, environment: str) -> bool:
        if environment in self._keep:
            return True
        object_ = self._store.get(environment_key(environment))
        manifest = object_.manifest if object_ else None
        if not isinstance(manifest, Environment) or not manifest.spec.keep_on_failure:
            return False
        return any(o.status.is_true(ConditionType.FAILED) for o in self._store.select(environment))

    def _ttl(self, environment: str) -> float | None:
        object_ = self._store.get(environment_key(environment))
        manifest = object_.manifest if object_ else None
        return manifest.spec.ttl if isinstance(manifest, Environment) else None

    def _stop_end(self, environment: str) -> None:
        task = self._ends.pop(environment, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _mark(self, environment: str, *, keep: bool) -> None:
        try:
            self._marks.write(environment, keep=keep)
        except OSError as error:
            message = f"cannot keep in mind that {environment} is held: {error.strerror}: {error.filename}"
            raise E2EError(message, reason="StateFolder") from error
        self._marked.add(environment)
        if keep:
            self._keep.add(environment)

    def _unmark(self, environment: str) -> None:
        self._keep.discard(environment)
        self._marks.remove(environment)
        self._marked.discard(environment)
