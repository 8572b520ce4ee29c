"""Leases: clients' claims on environments, and what happens when the last one is gone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from e2e_api.errors import Conflict, PolicyDenied
from e2e_controller.deletions import Deletions
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Key
from e2e_controller.ends import Ends, PlannedEnd
from e2e_controller.events import EventLog
from e2e_controller.intake import Intake
from e2e_controller.marks import Marks
from e2e_controller.store import Store

log = logging.getLogger(__name__)


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
        *,
        exclusive: bool = False,
    ) -> None:
        """`exclusive`: nobody but clients defines anything, since no folder is watched."""
        self._store = store
        self._marks = Marks(directories.leases)
        self._deletions = Deletions(store, intake)
        self._ends = Ends(store, self._deletions, events, self._marks, grace, now, evicted, exclusive)
        self._changes = store.subscribe(lambda _key: True)
        self._held: dict[str, int] = {}
        self._awaited: set[str] = set()  # environments whose clients may come back after our restart
        self._closed = False

    def count(self, environment: str = "") -> int:
        """How many leases there are, of one environment or of all."""
        return self._held.get(environment, 0) if environment else sum(self._held.values())

    @property
    def idle(self) -> bool:
        """Whether no lease is held and no environment waits for its end."""
        return not self._held and self._ends.idle

    def planned_end(self, environment: str) -> PlannedEnd | None:
        """When and why the environment ends; None while somebody holds it, and where nothing was planned."""
        return self._ends.planned(environment)

    def recover(self, serving: asyncio.Event, grace: float) -> None:
        """At start, before anything is looked at: what was held before stays for its clients to come back.

        They have `grace` seconds from the time when the server serves.
        """
        marked = self._marks.read()
        for environment, mark in marked.items():
            if mark.since is not None:
                self._ends.recall_kept(environment, mark.since, mark)
            else:
                log.info("environment %s was held before the restart", environment)
                self._ends.recall_held(environment, keep=mark.keep)
                self._await_clients(environment, serving, grace)
        for environment in sorted({*self._store.environments(), *marked}):
            self._ends.look(environment)

    async def follow(self) -> None:
        """Looks at whatever changes, whoever changed it: a `ttl` counts while nobody holds it."""
        while True:
            for environment in {key.environment for key in await self._changes.changed()}:
                if not self._closed and not self._held.get(environment):
                    self._ends.look(environment)

    @asynccontextmanager
    async def hold(self, environment: str, *, keep: bool, fresh: bool) -> AsyncIterator[None]:
        """Holds an environment for as long as the context is open.

        With `fresh`, what an earlier run left is removed first; where the environment ends just now, it is
        waited for, and begun anew. Raises `Conflict` where somebody else holds the environment that is to be
        fresh.
        """
        if fresh and self._held.get(environment):
            message = f"environment {environment} is held by another client; use another name, or wait"
            raise Conflict(message, reason="Held")
        if denials := self._store.admission.environment_denials(environment):
            raise PolicyDenied(str(denials[0]), violations=[(denials[0].rule, str(denials[0]))])
        self._held[environment] = self._held.get(environment, 0) + 1
        self._ends.stop(environment)
        try:
            if fresh or self._deletions.is_ending(environment):
                self._stop_awaiting(environment)
                self._ends.forget_keep(environment)
                await self._deletions.clear(environment, fresh=fresh)
            self._ends.mark_held(environment, keep=keep)
            self._store.pin(environment)
            self._stop_awaiting(environment)  # not before: it may have no objects, and would go
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
                    self._stop_awaiting(environment)
                    self._ends.begin(environment)

    async def delete(self, environment: str) -> list[Key]:
        """Deletes what Apply wrote for an environment, now; returns the keys. Who holds it holds it still."""
        keys = await self._deletions.run(environment)
        if not self._held.get(environment):
            # What is applied from now on is another's: no end of before may take it.
            self._stop_awaiting(environment)
            self._ends.cancel(environment)
        return keys

    async def close(self) -> None:
        """Stops the clocks; what is held stays, and the files of it, for the next start."""
        self._closed = True
        self._changes.close()
        self._ends.close()
        await self._deletions.close()

    def _await_clients(self, environment: str, serving: asyncio.Event, grace: float) -> None:
        async def wait() -> None:
            await serving.wait()
            await asyncio.sleep(grace)
            self._stop_awaiting(environment)

        self._ends.begin(environment, wait)
        self._store.pin(environment)  # it may have no objects yet
        self._awaited.add(environment)

    def _stop_awaiting(self, environment: str) -> None:
        if environment in self._awaited:
            self._awaited.remove(environment)
            self._store.unpin(environment)
