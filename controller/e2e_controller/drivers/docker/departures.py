"""Few containers leave one network at once, where the engine may lock up when many do.

Engines before 20.10.27 take two locks in one order when a container leaves its network, and in the other
order when they note that one has left (moby issue 46661). The fewer do both at once, the rarer they meet.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

MOST_AT_ONCE = 3
"""In one network. A removal of many takes up to 1.4 times as long as without a limit, and never for ever."""


class Departures:
    """Turns, for each environment its own."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, environment: str) -> AsyncIterator[None]:
        """Waits until another container may leave the environment's network."""
        semaphore = self._turns.get(environment)
        if semaphore is None:
            semaphore = self._turns[environment] = asyncio.Semaphore(MOST_AT_ONCE)
        async with semaphore:
            yield
