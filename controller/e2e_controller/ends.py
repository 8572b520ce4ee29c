"""Ends of environments that nobody holds: when they come, why so late, and that they come in the end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from e2e_api.errors import E2EError
from e2e_controller.deletions import Deletions
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.keeping import failures_to_keep, ttl_of
from e2e_controller.marks import Mark, Marks
from e2e_controller.objects import environment_key
from e2e_controller.store import Store

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0
"""Seconds between tries to end an environment."""
_UNHELD = "nobody holds it, and it has a ttl"


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """When what Apply wrote for an environment is deleted, and why then; None: never by itself.

    Its `ttl`, in seconds, counts since the last lease's end, or since there was something that it can end.
    """

    at: datetime | None
    cause: str
    since: datetime
    ttl: float | None


class Ends:
    """Plans ends and brings them about. A file for each lets a restart keep the time."""

    def __init__(
        self,
        store: Store,
        deletions: Deletions,
        events: EventLog,
        marks: Marks,
        grace: float,
        now: Callable[[], datetime],
        evicted: Callable[[], None],
        exclusive: bool,
    ) -> None:
        self._store = store
        self._deletions = deletions
        self._events = events
        self._marks = marks
        self._grace = grace
        self._now = now
        self._evicted = evicted
        self._exclusive = exclusive
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._planned: dict[str, PlannedEnd] = {}
        self._held: set[str] = set()
        """Environments that somebody holds or held, until that has had its consequences."""
        self._keep: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether no environment waits for its end."""
        return not self._tasks

    def planned(self, environment: str) -> PlannedEnd | None:
        """What is known of its end, also where that never comes; None where nothing was planned."""
        return self._planned.get(environment)

    def mark_held(self, environment: str, *, keep: bool) -> None:
        """Keeps in mind, over a restart too, that somebody holds it. Raises `E2EError`."""
        keep = keep or environment in self._keep
        try:
            self._marks.write(environment, Mark(keep, exclusive=self._exclusive))
        except OSError as error:
            message = f"cannot keep in mind that {environment} is held: {error.strerror}: {error.filename}"
            raise E2EError(message, reason="StateFolder") from error
        self.recall_held(environment, keep=keep)

    def recall_held(self, environment: str, *, keep: bool) -> None:
        """As a mark says."""
        self._held.add(environment)
        if keep:
            self._keep.add(environment)

    def recall_kept(self, environment: str, since: datetime, mark: Mark) -> None:
        """As a mark says: its time goes on where it was."""
        if mark.keep:
            self._keep.add(environment)
        self._plan(environment, since, mark.cause)

    def forget_keep(self, environment: str) -> None:
        """An earlier holder's wish does not count for what comes now."""
        self._keep.discard(environment)

    def begin(self, environment: str, first: Callable[[], Awaitable[object]] | None = None) -> None:
        """Nobody holds it any more, or will not after `first`."""
        self.stop(environment)
        if self._deletions.is_unfinished(environment):
            self._begin(environment, lambda: self._delete(environment))
        elif environment in self._held:
            self._begin(environment, lambda: self._after_lease(environment, first))
        else:
            self.look(environment)  # a claim that was refused changes nothing

    def look(self, environment: str) -> None:
        """Nobody holds it. Plans its end anew where its `ttl`, or what that is about, has changed."""
        planned = self._planned.get(environment)
        if planned is None and environment in self._tasks:
            return  # a lease has ended, and what follows looks at the ttl by itself
        object_ = self._store.get(environment_key(environment))
        ttl = ttl_of(self._store, environment)
        if planned is not None:
            if object_ is None or object_.deleting or (ttl is None and planned.cause == _UNHELD):
                self.cancel(environment)
            elif ttl != planned.ttl:
                self._plan(environment, planned.since, planned.cause)
        elif ttl is not None and self._has_what_can_end(environment):
            self._tell_kept(environment, self._plan(environment, self._now(), _UNHELD))

    def cancel(self, environment: str) -> None:
        """Nothing of before is to end what is there from now on."""
        self.stop(environment)
        try:
            self._forget(environment)
        except OSError as error:
            log.warning("environment %s stays marked: %s", environment, error)

    def stop(self, environment: str) -> None:
        """Stops its clock. A deletion that was begun goes on."""
        self._planned.pop(environment, None)
        task = self._tasks.pop(environment, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def close(self) -> None:
        """Stops all clocks; the files of them stay, for the next start."""
        for environment in tuple(self._tasks):
            self.stop(environment)

    def _has_what_can_end(self, environment: str) -> bool:
        return any(o.managed and not o.deleting for o in self._store.select(environment))

    def _begin(self, environment: str, end: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await end()
            except Exception:  # must be told, since nobody awaits this task
                log.exception("the end of environment %s failed", environment)
            finally:
                if self._tasks.get(environment) is asyncio.current_task():
                    del self._tasks[environment]

        self._tasks[environment] = asyncio.create_task(run(), name=f"end of {environment}")

    async def _after_lease(self, environment: str, first: Callable[[], Awaitable[object]] | None) -> None:
        if first is not None:
            await first()
        await asyncio.sleep(self._grace)
        cause = "its client asked to keep it" if environment in self._keep else ""
        cause = cause or await failures_to_keep(self._store, environment)
        if cause:
            self._tell_kept(environment, self._plan(environment, self._now(), cause))
        else:
            await self._delete(environment)

    def _plan(self, environment: str, since: datetime, cause: str) -> PlannedEnd:
        self.stop(environment)
        ttl = ttl_of(self._store, environment)
        at = None if ttl is None else since + timedelta(seconds=ttl)
        planned = self._planned[environment] = PlannedEnd(at, cause, since, ttl)
        self._begin(environment, lambda: self._wait_for(environment, planned))
        return planned

    def _tell_kept(self, environment: str, planned: PlannedEnd) -> None:
        until = f"until {planned.at:%Y-%m-%d %H:%M:%S} UTC" if planned.at else "until somebody deletes it"
        self._events.record(environment_key(environment), "Kept", f"{until}: {planned.cause}")

    async def _wait_for(self, environment: str, planned: PlannedEnd) -> None:
        if planned.at is None:
            await self._insist(environment, lambda: self._forget(environment))
            return
        mark = Mark(environment in self._keep, planned.since, planned.cause)
        await self._insist(environment, lambda: self._marks.write(environment, mark))
        await asyncio.sleep(max(0.0, (planned.at - self._now()).total_seconds()))
        await self._delete(environment)

    async def _delete(self, environment: str) -> None:
        """Whoever comes from now on begins anew."""
        self._planned.pop(environment, None)
        work = self._deletions.finish
        await self._insist(environment, lambda: work(environment, lambda keys: self._done(environment, keys)))

    def _done(self, environment: str, keys: list[Key]) -> None:
        self._forget(environment)
        if keys:
            message = f"nobody holds it any more: {len(keys)} objects are deleted"
            self._events.record(environment_key(environment), "LeaseEnded", message)
            self._evicted()

    async def _insist(self, environment: str, work: Callable[[], Awaitable[None] | None]) -> None:
        """Does it in the end: nobody else would, and what fails here (a full disk) may pass."""
        pause = _FIRST_PAUSE
        while True:
            try:
                waiting = work()
                if waiting is not None:
                    await waiting
                return
            except (E2EError, OSError):
                log.exception("the end of environment %s failed; again in %gs", environment, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    def _forget(self, environment: str) -> None:
        self._keep.discard(environment)
        self._marks.remove(environment)
        self._held.discard(environment)
