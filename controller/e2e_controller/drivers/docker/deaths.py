"""Containers that have just died, as the engine's events tell it.

While it takes a dead container's network down, some 0.1 s, an engine lets nobody look at it. Those who wait
for the container shall not wait for that.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from e2e_controller.drivers.base import Container, ContainerPhase, Key

T = TypeVar("T")
_FRESH = 1.0
"""Seconds for which the word of a death is as good as a look."""


class Deaths:
    """What was last seen of containers that run, and which of them have died since and were not looked at."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[Key, Container] = {}
        self._dead: dict[Key, tuple[Container, float]] = {}
        self._waiting: defaultdict[Key, set[asyncio.Future[Container]]] = defaultdict(set)

    def saw(self, container: Container, *, limited: bool) -> None:
        """Somebody looked at it; of what has a memory `limit` only the engine knows why it ended."""
        self._dead.pop(container.key, None)
        if container.phase is ContainerPhase.RUNNING and not limited:
            self._running[container.key] = container
        else:
            self._running.pop(container.key, None)

    def died(self, key: Key, container_id: str, exit_code: int, time: datetime) -> None:
        """The engine says so."""
        seen = self._running.pop(key, None)
        if seen is None or seen.id != container_id:
            return
        dead = replace(seen, phase=ContainerPhase.EXITED, finished_at=time, exit_code=exit_code, address="")
        self._dead[key] = dead, self._clock()
        for news in self._waiting.get(key, ()):
            if not news.done():
                news.set_result(dead)

    async def first(self, key: Key, look: Coroutine[Any, Any, T]) -> T | Container:
        """What the look gives, or the container of that key as it is told to have died, if that comes first.

        The same death is told once, since the engine knows more of it later.
        """
        dead, at = self._dead.pop(key, (None, 0.0))
        if dead is not None and self._clock() - at <= _FRESH:
            look.close()
            return dead
        if key not in self._running:
            return await look
        looking = asyncio.ensure_future(look)
        news: asyncio.Future[Container] = asyncio.get_running_loop().create_future()
        self._waiting[key].add(news)
        try:
            await asyncio.wait((looking, news), return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                return looking.result()
            self._dead.pop(key, None)
            return news.result()
        finally:
            looking.cancel()
            self._waiting[key].discard(news)
            if not self._waiting[key]:
                del self._waiting[key]

    def forget(self, container_id: str) -> None:
        """It is started again, or gone."""
        for key in [key for key, seen in self._running.items() if seen.id == container_id]:
            del self._running[key]
        for key in [key for key, (dead, _) in self._dead.items() if dead.id == container_id]:
            del self._dead[key]

    def clear(self) -> None:
        """Events were missed."""
        self._running.clear()
        self._dead.clear()
