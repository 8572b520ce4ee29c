"""A queue of keys: deduplicated, delayed, rate-limited, fair between groups; after client-go's.

A key is in at most one worker's hands. A key added meanwhile is handed out once more after `done`, so no
change is missed and none is worked on twice at once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from e2e_controller.fairness import FairQueue

K = TypeVar("K", bound=Hashable)

BASE_DELAY = 0.1
MAX_DELAY = 30.0


class QueueClosed(Exception):  # noqa: N818 - not an error: how a worker learns that work is over
    """The queue is closed and empty-handed."""


class WorkQueue(Generic[K]):
    """Keys waiting for a worker. All methods are called in one event loop."""

    def __init__(
        self, jitter: Callable[[], float] = random.random, group: Callable[[K], Hashable] = lambda _key: None
    ) -> None:
        """`jitter` gives numbers from 0 to 1. Keys of different `group`s are handed out in turn."""
        self._ready: FairQueue[K] = FairQueue()
        self._group = group
        self._dirty: set[K] = set()  # needs work: in _ready, or in _processing and changed since
        self._processing: set[K] = set()  # never also in _ready
        self._timers: dict[K, asyncio.TimerHandle] = {}  # at most one a key: the earliest
        self._failures: dict[K, int] = {}
        self._since: dict[K, float] = {}  # when each dirty key was added
        self._waited: dict[K, float] = {}  # seconds, of each key in _processing
        self._again: dict[K, asyncio.Event] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._jitter = jitter
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether no key waits or is worked on; delayed ones do not count."""
        return not self._dirty and not self._processing

    def add(self, key: K) -> None:
        """Makes sure that the key is worked on after now."""
        self._cancel_timer(key)
        if (again := self._again.get(key)) is not None:
            again.set()
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        self._since[key] = time.monotonic()
        if key not in self._processing:
            self._ready.append(key, self._group(key))
            self._wake()

    def add_after(self, key: K, delay: float) -> None:
        """Adds the key in `delay` seconds, or earlier if that is planned already."""
        if delay <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + delay
        timer = self._timers.get(key)
        if self._closed or (timer is not None and timer.when() <= when):
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_at(when, self.add, key)

    def add_rate_limited(self, key: K) -> float:
        """Adds the key after a delay that doubles with each failure; returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(BASE_DELAY * 2.0 ** min(failures, 20), MAX_DELAY)
        delay = backoff * (0.75 + 0.5 * self._jitter())
        self.add_after(key, delay)
        return delay

    def failures(self, key: K) -> int:
        """How often in a row the key failed."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure starts with the shortest delay."""
        self._failures.pop(key, None)

    def waited(self, key: K) -> float:
        """How many seconds the key that is worked on waited for a worker; 0 where none works on it."""
        return self._waited.get(key, 0.0)

    def again(self, key: K) -> asyncio.Event:
        """Is set whenever the key is added, until the work on it is done."""
        return self._again.setdefault(key, asyncio.Event())

    @property
    def failing(self) -> int:
        """How many keys failed last, and are or will be tried again."""
        return len(self._failures)

    async def get(self) -> K:
        """The next key; the caller must call `done`. Raises `QueueClosed`."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # The wake-up may have been meant for a key that somebody else must now take.
                self._wake()
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        self._waited[key] = time.monotonic() - self._since.pop(key)
        return key

    def done(self, key: K) -> None:
        """Ends the work on a key; it is handed out again if it was added meanwhile."""
        self._processing.discard(key)
        self._waited.pop(key, None)
        self._again.pop(key, None)
        if key in self._dirty and not self._closed:
            self._ready.append(key, self._group(key))
            self._wake()

    def close(self) -> None:
        """Drops what waits; `get` raises from now on."""
        self._closed = True
        for key in list(self._timers):
            self._cancel_timer(key)
        self._ready.clear()
        self._dirty.clear()
        self._since.clear()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
