"""The end of the log of what runs and is not ready or done yet, kept in case it dies.

While an engine takes a dead container's network down, it gives no log of it; whoever waits wants it at once.
"""

import asyncio
from contextlib import aclosing
from datetime import datetime

from e2e_controller.drivers.base import Container, Driver, DriverError, Key
from e2e_controller.reconcile.evidence import LOG_LINES, cut_lines

DELAY = 0.2
"""Seconds until one is followed: most starts are over by then, and shall not pay for it."""
PATIENCE = 0.05
"""Seconds from the news of a death to the end of the log, which comes about the same time."""
_MOST_READ = 2**20
"""Bytes; whoever writes more is not worth following."""


class LogTails:
    """Follows one log for each key."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._tails: dict[Key, _Tail] = {}

    def follow(self, container: Container) -> None:
        """Goes on, or begins, to follow this run of the container."""
        known = self._tails.get(container.key)
        if known is None or known.run != _run(container):
            self.forget(container.key)
            self._tails[container.key] = _Tail(self._driver, container)

    async def lines(self, container: Container) -> tuple[str, ...] | None:
        """The last lines of a run that has ended; None where it was not followed to its end."""
        known = self._tails.get(container.key)
        if known is None or known.run != _run(container):
            return None
        return await known.lines()

    def forget(self, key: Key) -> None:
        """Its log is of no interest any more."""
        known = self._tails.pop(key, None)
        if known is not None:
            known.task.cancel()

    async def aclose(self) -> None:
        """Follows nothing any more."""
        tasks = [tail.task for tail in self._tails.values()]
        for key in list(self._tails):
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)


def _run(container: Container) -> tuple[str, datetime | None]:
    return container.id, container.started_at


class _Tail:
    def __init__(self, driver: Driver, container: Container) -> None:
        self.run = _run(container)
        self._driver = driver
        self._read: list[bytes] = []
        self.task = asyncio.create_task(self._follow(container.id), name=f"log of {container.key}")

    async def lines(self) -> tuple[str, ...] | None:
        """What it has read, if it has read all."""
        await asyncio.wait((self.task,), timeout=PATIENCE)
        ended = self.task.done() and not self.task.cancelled() and self.task.result()
        return cut_lines(self._read) if ended else None

    async def _follow(self, container_id: str) -> bool:
        """Whether all was read, to the container's end."""
        await asyncio.sleep(DELAY)
        size = 0
        try:
            async with aclosing(self._driver.logs(container_id, follow=True, tail=LOG_LINES)) as outputs:
                async for output in outputs:
                    self._read.append(output.data)
                    size += len(output.data)
                    if size > _MOST_READ:
                        return False
        except DriverError:
            return False
        return True
