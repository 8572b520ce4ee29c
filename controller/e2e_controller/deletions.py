"""Deletions of whole environments: what is begun comes to its end, and who arrives meanwhile waits for it."""

import asyncio
import logging
from collections.abc import Callable

from e2e_api.errors import WaitTimeout
from e2e_controller.drivers.base import Key
from e2e_controller.intake import Intake
from e2e_controller.store import Store

log = logging.getLogger(__name__)

LEFTOVERS_SECONDS = 50.0
"""For which a claim waits; clients wait a minute unless told otherwise, and shall hear what is left."""

Done = Callable[[list[Key]], None]
"""What is done with the keys that were deleted, as a part of it."""


class Deletions:
    """Deletes what Apply wrote for an environment, one deletion of an environment at a time."""

    def __init__(self, store: Store, intake: Intake) -> None:
        self._store = store
        self._intake = intake
        self._running: dict[str, asyncio.Task[list[Key]]] = {}
        self._unfinished: dict[str, Done] = {}
        """Environments of which some may be gone already, and all of it must go."""

    def is_unfinished(self, environment: str) -> bool:
        """Whether a deletion of it was begun that must come to its end, though it may have failed once."""
        return environment in self._unfinished

    def is_ending(self, environment: str) -> bool:
        """Whether the environment goes: what is there now is no more in a moment."""
        if environment in self._unfinished or environment in self._running:
            return True
        if self._store.is_pinned(environment):
            return False  # who has it keeps it, whatever becomes of the objects in it
        objects = self._store.select(environment)
        stays = any(object_.manifest and not object_.deleting for object_ in objects)
        return not stays and any(object_.deleting for object_ in objects)

    async def run(self, environment: str) -> list[Key]:
        """Deletes it; returns the keys. It is not cut off where its caller is. Raises `E2EError`, OSError."""
        return await self._run(environment, lambda _keys: None)

    async def finish(self, environment: str, done: Done) -> None:
        """As `run`, but a new holder will have it done where this fails, or is cut off before it began."""
        self._unfinished[environment] = done
        await self._run(environment, done)

    async def clear(self, environment: str, *, fresh: bool) -> None:
        """Waits until what is ending is gone; with `fresh`, all that Apply wrote is ended first.

        Raises `WaitTimeout` with what is left.
        """
        try:
            async with asyncio.timeout(LEFTOVERS_SECONDS):
                await self._join(environment)
                if fresh:
                    await self._remove_leftovers(environment)
                # Objects that were deleted one by one are waited for too: their names are still taken.
                await self._store.until_none(environment, lambda o: o.deleting)
        except TimeoutError:
            left = [o for o in self._store.select(environment) if o.deleting]
            reasons = [f"{o.key}: {o.status.progress or o.status.summary}" for o in left[:10]]
            why = "; ".join(reasons) or "its manifests"
            raise WaitTimeout(
                f"what an earlier run left of environment {environment} is not gone after "
                f"{LEFTOVERS_SECONDS:g} s: {why[:2000]}"
            ) from None

    async def close(self) -> None:
        """Cuts off what runs; marks tell the next start of what was held."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _join(self, environment: str) -> None:
        """Until what was begun is done; what failed is tried once more, and raises if it fails again."""
        while True:
            if task := self._running.get(environment):
                await asyncio.wait((task,))
            elif done := self._unfinished.get(environment):
                await self._run(environment, done)
            else:
                return

    async def _remove_leftovers(self, environment: str) -> None:
        keys = await self.run(environment)
        if keys:
            log.info("environment %s: removing %d objects of an earlier run", environment, len(keys))
        self._store.expect_gone(environment)

    async def _run(self, environment: str, done: Done) -> list[Key]:
        while before := self._running.get(environment):
            await asyncio.wait((before,))
        work = self._delete(environment, done)
        task = asyncio.create_task(work, name=f"deletion of {environment}")
        self._running[environment] = task
        task.add_done_callback(lambda task: self._ended(environment, task))
        return await asyncio.shield(task)

    async def _delete(self, environment: str, done: Done) -> list[Key]:
        keys = await self._intake.delete_environment(environment)
        done(keys)
        return keys

    def _ended(self, environment: str, task: asyncio.Task[list[Key]]) -> None:
        del self._running[environment]
        if not task.cancelled() and task.exception() is None:
            self._unfinished.pop(environment, None)
