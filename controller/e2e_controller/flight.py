"""Calls of which only one at a time makes sense, shared by all who ask for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Runs one call for each key; who asks meanwhile gets the same result or error.

    A caller that is cancelled leaves the call to the others; the last one to leave ends it.
    """

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[T]] = {}
        self._callers: dict[asyncio.Task[T], int] = {}

    async def run(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the call under way for that key, which is started if there is none."""
        task = self._flights.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(start())
            self._flights[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        self._callers[task] = self._callers.get(task, 0) + 1
        try:
            return await asyncio.shield(task)
        finally:
            self._callers[task] -= 1
            if not self._callers[task]:
                del self._callers[task]
                self._forget(key, task)
                task.cancel()

    def cancel_all(self) -> Awaitable[Any]:
        """Ends all calls; to be awaited."""
        tasks = list(self._flights.values())
        for task in tasks:
            task.cancel()
        return asyncio.gather(*tasks, return_exceptions=True)

    def _land(self, key: K, task: asyncio.Task[T]) -> None:
        self._forget(key, task)
        if not task.cancelled():
            task.exception()  # seen: a call that nobody waits for any more may fail in silence

    def _forget(self, key: K, task: asyncio.Task[T]) -> None:
        if self._flights.get(key) is task:
            del self._flights[key]
