"""Leases: clients' claims on environments, and what happens when the last one is gone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from e2e_api.errors import Conflict, E2EError, WaitTimeout
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.intake import Intake
from e2e_controller.keeping import failures_to_keep, ttl_of
from e2e_controller.marks import Mark, Marks
from e2e_controller.objects import environment_key
from e2e_controller.store import Store

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0
"""Seconds between tries to end an environment."""
LEFTOVERS_SECONDS = 50.0
"""For which a fresh claim waits; clients wait a minute unless told otherwise, and shall hear what is left."""


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """When what Apply wrote for an environment is deleted, and why then; None: never by itself."""

    at: datetime | None
    cause: str


class Leases:
    """Who holds which environment. A file for each tells a restarted controller what had been held."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        events: EventLog,
        directories: Directories,
        grace: float,
        now: Callable[[], datetime],
        evicted: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._intake = intake
        self._events = events
        self._marks = Marks(directories.leases)
        self._grace = grace
        self._now = now
        self._evicted = evicted
        self._held: dict[str, int] = {}
        self._marked: set[str] = set()
        """Environments that somebody holds or held, until that has had its consequences."""
        self._keep: set[str] = set()
        self._ends: dict[str, asyncio.Task[None]] = {}  # environments whose time runs out
        self._awaited: set[str] = set()  # environments whose clients may come back after our restart
        self._closed = False
        self._planned: dict[str, PlannedEnd] = {}  # what is known of those ends; and of those that never come

    def count(self, environment: str = "") -> int:
        """How many leases there are, of one environment or of all."""
        return self._held.get(environment, 0) if environment else sum(self._held.values())

    @property
    def idle(self) -> bool:
        """Whether no lease is held and no environment waits for its end."""
        return not self._held and not self._ends

    def recover(self, serving: asyncio.Event, grace: float) -> None:
        """At start, before anything is looked at: what was held before stays for its clients to come back.

        They have `grace` seconds from the time when the server serves.
        """
        marked = self._marks.read()
        self._marked |= marked.keys()
        for environment, mark in marked.items():
            if mark.keep:
                self._keep.add(environment)
            if mark.ends is not None:
                kept = PlannedEnd(mark.ends, mark.cause)
                self._begin_end(environment, self._end_kept(environment, kept))
            else:
                log.info("environment %s was held before the restart", environment)
                self._await_clients(environment, serving, grace)
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
            self._mark_held(environment, keep=keep or environment in self._keep)
            self._store.pin(environment)
            try:
                yield
            finally:
                if not self._closed:
                    self._store.unpin(environment)
        finally:
            self._held[environment] -= 1
            if not self._held[environment]:
                del self._held[environment]
                if not self._closed:
                    # A claim that was refused changes nothing for an environment that nobody had held.
                    self._plan_end(environment, only_ttl=environment not in self._marked)

    async def delete(self, environment: str) -> list[Key]:
        """Deletes what Apply wrote for an environment, now; returns the keys. Who holds it holds it still."""
        keys = await self._intake.delete_environment(environment)
        if self._held.get(environment):
            return keys
        # What is applied from now on is another's: no end of before may take it.
        self._stop_end(environment)
        try:
            self._unmark(environment)
        except OSError as error:
            log.warning("environment %s stays marked as held: %s", environment, error)
        return keys

    def environment_changed(self, environment: str) -> None:
        """Its manifest may have another `ttl`, which runs while nobody holds it."""
        if not self._held.get(environment) and environment not in self._marked:
            self._plan_end(environment, only_ttl=True)

    async def close(self) -> None:
        """Stops the clocks; what is held stays, and the files of it, for the next start."""
        self._closed = True
        for task in self._ends.values():
            task.cancel()
        self._ends.clear()

    async def _remove_leftovers(self, environment: str) -> None:
        subscription = self._store.subscribe(lambda key: key.environment == environment)
        try:
            keys = await self._intake.delete_environment(environment)
            if keys:
                log.info("environment %s: removing %d objects of an earlier run", environment, len(keys))
            self._store.expect_gone(environment)
            # Deleting objects of an earlier client are waited for too: their names are still taken.
            async with asyncio.timeout(LEFTOVERS_SECONDS):
                while any(o.deleting for o in self._store.select(environment)):
                    await subscription.changed()
        except TimeoutError:
            left = [o for o in self._store.select(environment) if o.deleting]
            why = "; ".join(f"{o.key}: {o.status.progress or o.status.summary}" for o in left[:10])
            raise WaitTimeout(
                f"what an earlier run left of environment {environment} is not gone after "
                f"{LEFTOVERS_SECONDS:g} s: {why[:2000]}"
            ) from None
        finally:
            subscription.close()

    def _await_clients(self, environment: str, serving: asyncio.Event, grace: float) -> None:
        async def wait() -> None:
            await serving.wait()
            await asyncio.sleep(grace)
            self._plan_end(environment)

        self._store.pin(environment)  # it may have no objects yet
        self._awaited.add(environment)
        self._ends[environment] = asyncio.create_task(wait(), name=f"clients of {environment}")

    def _plan_end(self, environment: str, *, only_ttl: bool = False) -> None:
        self._stop_end(environment)
        ttl = ttl_of(self._store, environment)
        if only_ttl and ttl is None:
            return
        self._begin_end(environment, self._end(environment, ttl, only_ttl))

    def _begin_end(self, environment: str, end: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await end
            except Exception:  # must be told, since nobody awaits this task
                log.exception("the end of environment %s failed", environment)
            finally:
                if self._ends.get(environment) is asyncio.current_task():
                    del self._ends[environment]

        self._ends[environment] = asyncio.create_task(run(), name=f"end of {environment}")

    async def _end(self, environment: str, ttl: float | None, only_ttl: bool) -> None:
        cause = "nobody holds it, and it has a ttl"
        if not only_ttl:
            await asyncio.sleep(self._grace)
            cause = await self._why_kept(environment)
        if not cause:
            await self._insist(environment, lambda: self._delete_unheld(environment))
            return
        kept = PlannedEnd(None if ttl is None else self._now() + timedelta(seconds=ttl), cause)
        until = f"until {kept.at:%Y-%m-%d %H:%M:%S} UTC" if kept.at else "until somebody deletes it"
        self._events.record(environment_key(environment), "Kept", f"{until}: {cause}")
        if not only_ttl and kept.at is not None:
            mark = Mark(environment in self._keep, kept.at, cause)
            await self._insist(environment, lambda: self._marks.write(environment, mark))
        await self._end_kept(environment, kept)

    async def _end_kept(self, environment: str, kept: PlannedEnd) -> None:
        self._planned[environment] = kept
        if kept.at is None:
            await self._insist(environment, lambda: self._unmark(environment))
            return
        await asyncio.sleep(max(0.0, (kept.at - self._now()).total_seconds()))
        await self._insist(environment, lambda: self._delete_unheld(environment))

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

    async def _delete_unheld(self, environment: str) -> None:
        self._planned.pop(environment, None)
        keys = await self._intake.delete_environment(environment)
        self._unmark(environment)
        if keys:
            message = f"nobody holds it any more: {len(keys)} objects are deleted"
            self._events.record(environment_key(environment), "LeaseEnded", message)
            self._evicted()

    def planned_end(self, environment: str) -> PlannedEnd | None:
        """When and why the environment ends; None while somebody holds it, and where nothing was planned."""
        return self._planned.get(environment)

    async def _why_kept(self, environment: str) -> str:
        """Why the last lease's end deletes nothing; empty where it does."""
        if environment in self._keep:
            return "its client asked to keep it"
        return await failures_to_keep(self._store, environment)

    def _stop_end(self, environment: str) -> None:
        if environment in self._awaited:
            self._awaited.remove(environment)
            self._store.unpin(environment)
        self._planned.pop(environment, None)
        task = self._ends.pop(environment, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _mark_held(self, environment: str, *, keep: bool) -> None:
        try:
            self._marks.write(environment, Mark(keep))
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
