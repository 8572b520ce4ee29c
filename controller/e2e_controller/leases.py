"""Leases: clients' claims on environments, and what happens when the last one is gone."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from e2e_api.conditions import ConditionType
from e2e_api.errors import Conflict
from e2e_api.manifests import Environment
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.intake import Intake
from e2e_controller.objects import environment_key
from e2e_controller.store import Store

log = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0
"""For which the end of a lease waits to know whether something has failed."""


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
    ) -> None:
        self._store = store
        self._intake = intake
        self._events = events
        self._directories = directories
        self._grace = grace
        self._now = now
        self._held: dict[str, int] = {}
        self._keep: set[str] = set()
        self._ends: dict[str, asyncio.Task[None]] = {}  # environments whose time runs out
        self._planned: dict[str, PlannedEnd] = {}  # what is known of those ends; and of those that never come

    def count(self, environment: str = "") -> int:
        """How many leases there are, of one environment or of all."""
        return self._held.get(environment, 0) if environment else sum(self._held.values())

    @property
    def idle(self) -> bool:
        """Whether no lease is held and no environment waits for its end."""
        return not self._held and not self._ends

    def recover(self) -> None:
        """At start: what was held before gets a grace time for its clients to come back."""
        marked = {path.name for path in self._directories.leases.glob("*")}
        for environment in marked:
            kept = self._kept_before(environment)
            if kept is not None:
                self._begin_end(environment, self._end_kept(environment, kept))
            elif environment not in self._held:
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
                await self._remove_leftovers(environment)
            if keep:
                self._keep.add(environment)
            self._mark(environment)
            self._store.pin(environment)
            try:
                yield
            finally:
                self._store.unpin(environment)
        finally:
            self._held[environment] -= 1
            if not self._held[environment]:
                del self._held[environment]
                self._plan_end(environment)

    async def delete(self, environment: str) -> list[Key]:
        """Deletes what Apply wrote for an environment, now; returns the keys.

        Its planned end goes with it: it is none of an environment that has the name later.
        """
        self._stop_end(environment)
        if not self._held.get(environment):
            self._unmark(environment)
        return await self._intake.delete_environment(environment)

    def environment_changed(self, environment: str) -> None:
        """Its manifest may have a `ttl`, which runs while nobody holds it."""
        if not self._held.get(environment) and environment not in self._ends:
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
        ttl = self._ttl(environment)
        if only_ttl and ttl is None:
            return
        self._stop_end(environment)
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
            await self._delete_unheld(environment)
            return
        kept = PlannedEnd(None if ttl is None else self._now() + timedelta(seconds=ttl), cause)
        until = f"until {kept.at:%Y-%m-%d %H:%M:%S} UTC" if kept.at else "until somebody deletes it"
        self._events.record(environment_key(environment), "Kept", f"{until}: {cause}")
        if not only_ttl:
            self._mark(environment, kept)
        await self._end_kept(environment, kept)

    async def _end_kept(self, environment: str, kept: PlannedEnd) -> None:
        self._planned[environment] = kept
        if kept.at is None:
            self._unmark(environment)
            return
        await asyncio.sleep(max(0.0, (kept.at - self._now()).total_seconds()))
        await self._delete_unheld(environment)

    async def _delete_unheld(self, environment: str) -> None:
        self._planned.pop(environment, None)
        keys = await self._intake.delete_environment(environment)
        self._unmark(environment)
        if keys:
            message = f"nobody holds it any more: {len(keys)} objects are deleted"
            self._events.record(environment_key(environment), "LeaseEnded", message)

    def planned_end(self, environment: str) -> PlannedEnd | None:
        """When and why the environment ends; None while somebody holds it, and where nothing was planned."""
        return self._planned.get(environment)

    async def _why_kept(self, environment: str) -> str:
        """Why the last lease's end deletes nothing; empty where it does."""
        if environment in self._keep:
            return "its client asked to keep it"
        object_ = self._store.get(environment_key(environment))
        manifest = object_.manifest if object_ else None
        if not isinstance(manifest, Environment) or not manifest.spec.keep_on_failure:
            return ""
        await self._until_settled(environment)
        objects = self._store.select(environment)
        failed = [o.key.name for o in objects if o.status.is_true(ConditionType.FAILED)]
        return f"keepOnFailure, and it has failed: {', '.join(failed[:10])}" if failed else ""

    async def _until_settled(self, environment: str) -> None:
        """Waits until it is known how the objects are: a controller that just started has not looked yet."""
        subscription = self._store.subscribe(lambda key: key.environment == environment)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while any(o.manifest and not o.settled for o in self._store.select(environment)):
                    await subscription.changed()
        except TimeoutError:
            log.warning("environment %s ends though not all of its objects were looked at", environment)
        finally:
            subscription.close()

    def _ttl(self, environment: str) -> float | None:
        object_ = self._store.get(environment_key(environment))
        manifest = object_.manifest if object_ else None
        return manifest.spec.ttl if isinstance(manifest, Environment) else None

    def _stop_end(self, environment: str) -> None:
        self._planned.pop(environment, None)
        task = self._ends.pop(environment, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _mark(self, environment: str, kept: PlannedEnd | None = None) -> None:
        """Tells the next controller of the lease, or until when the environment is kept after it."""
        self._directories.leases.mkdir(parents=True, exist_ok=True)
        marker: dict[str, Any] = {"environment": environment, "keep": environment in self._keep}
        if kept is not None and kept.at is not None:
            marker |= {"ends": kept.at.isoformat(), "cause": kept.cause}
        (self._directories.leases / environment).write_text(json.dumps(marker) + "\n")

    def _kept_before(self, environment: str) -> PlannedEnd | None:
        """What the marker says of an environment that nobody held any more."""
        try:
            marker = json.loads((self._directories.leases / environment).read_text())
            return PlannedEnd(datetime.fromisoformat(marker["ends"]), str(marker["cause"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _unmark(self, environment: str) -> None:
        self._keep.discard(environment)
        (self._directories.leases / environment).unlink(missing_ok=True)
