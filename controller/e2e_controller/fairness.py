"""Turns that groups take one after another, so that a large group keeps no small one waiting."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First in, first out within a group; the groups take turns."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, deque[T]] = {}  # in the order of their turns; none is empty
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, item: T, group: Hashable) -> None:
        """Adds an item to its group; a new group comes last."""
        self._groups.setdefault(group, deque()).append(item)
        self._length += 1

    def popleft(self) -> T:
        """The next item of the group whose turn it is. Raises StopIteration where there is none."""
        group = next(iter(self._groups))
        items = self._groups.pop(group)
        item = items.popleft()
        if items:
            self._groups[group] = items  # last again
        self._length -= 1
        return item

    def clear(self) -> None:
        """Drops all items."""
        self._groups.clear()
        self._length = 0


class FairSemaphore:
    """At most `size` at once; who waits is let in by groups in turn."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, group: Hashable) -> AsyncIterator[None]:
        """Waits for a place, and has it while the context is open."""
        await self._acquire(group)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, group: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place, group)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._release()  # it was let in just then
            raise

    def _release(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
