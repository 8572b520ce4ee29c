"""When what failed is tried again: by the event loop's clock, which no jump of the wall's delays."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import Key
from e2e_controller.instruments import Instruments
from e2e_controller.objects import Object
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.outcome import Failure
from e2e_controller.workqueue import WorkQueue

TERMINAL_RETRY = 60.0
"""Seconds until a failure that needs a person is tried again, in case one has acted."""
MOMENT = 0.001
"""Seconds by which a timer may be early."""


class Retries:
    """The next attempts, by key."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        instruments: Instruments,
        now: Callable[[], datetime],
        doubt: Callable[[Key], None],
    ) -> None:
        """`doubt` queues a key whose failure counts no more."""
        self._doubt = doubt
        self._queue = queue
        self._instruments = instruments
        self._now = now
        self._due: dict[Key, float] = {}  # loop times

    def plan(self, key: Key, failure: Failure | None) -> datetime | None:
        """Queues a key that failed for later; returns when it may be tried again, None for any time."""
        self._due.pop(key, None)
        if failure is None:
            self._queue.forget(key)
            return None
        self._instruments.retried(key.kind, failure.reason)
        if failure.terminal:
            delay = TERMINAL_RETRY
            self._queue.add_after(key, delay)
        else:
            delay = self._queue.add_rate_limited(key)
        if failure.reason == Reason.ENGINE_UNAVAILABLE:
            return None  # it may be back any moment, and then says so
        self._due[key] = asyncio.get_running_loop().time() + delay
        return self._now() + timedelta(seconds=delay)

    def release(self, key: Key) -> None:
        """What was in the way is gone: the next attempt comes at once."""
        self._due.pop(key, None)
        self._doubt(key)

    def held_back(self, object_: Object, desired: Desired | None) -> float:
        """Seconds until what failed is tried again; 0 for now.

        A failed attempt makes engine events itself; without this they would start the next one at once.
        """
        status = object_.status
        if desired is None or status.retry_at is None or not object_.settled:
            return 0.0
        if status.spec_hash != desired.spec_hash:
            return 0.0
        wait = self._due.get(object_.key, 0.0) - asyncio.get_running_loop().time()
        return wait if wait > MOMENT else 0.0
