"""How much of the controller one client may have, and how fast strangers may try tokens."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from e2e_api.errors import RATE_LIMITED, E2EError, LimitExceeded, Unauthenticated

log = logging.getLogger(__name__)

_REFUSALS_PER_SECOND = 2.0
_PATIENCE = 1.0
"""Seconds that wrong tokens wait for their answer, once there are too many of them."""


class Bucket:
    """Lets so many through a second, and twice that at once after a rest."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._room = self._most = max(1.0, 2 * rate)
        self._seen = clock()

    def take(self) -> float:
        """0 for who is let through, else the seconds until there is room."""
        now = self._clock()
        self._room = min(self._most, self._room + (now - self._seen) * self._rate)
        self._seen = now
        if self._room < 1:
            return (1 - self._room) / self._rate
        self._room -= 1
        return 0.0


class Limits:
    """Calls a second, and calls at once, of each client by its name."""

    def __init__(self, rate: float, calls: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` 0 is without that limit."""
        self._rate = rate
        self._calls = calls
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._underway: Counter[str] = Counter()

    def admit(self, client: str) -> None:
        """Raises `LimitExceeded` for one call too many."""
        if self._underway[client] >= self._calls:
            raise LimitExceeded(
                f"client {client} has {self._calls} calls under way, and more are too many "
                "(the controller's --calls-per-client)",
                reason="TooManyCalls",
            )
        if not self._rate:
            return
        bucket = self._buckets.setdefault(client, Bucket(self._rate, self._clock))
        if seconds := bucket.take():
            delay = Duration()
            delay.FromMilliseconds(max(1, round(seconds * 1000)))
            raise LimitExceeded(
                f"client {client} makes more than {self._rate:g} calls a second (--call-rate)",
                reason=RATE_LIMITED,
                details=[RetryInfo(retry_delay=delay)],
            )

    @contextmanager
    def underway(self, client: str) -> Iterator[None]:
        """Counts one call for as long as it lasts."""
        self._underway[client] += 1
        try:
            yield
        finally:
            self._underway[client] -= 1


class Refusals:
    """Counts calls that are refused; of those without a right token, tells, and slows down who makes many."""

    def __init__(self, refused: Callable[[str], None]) -> None:
        """`refused` is told the reason of each."""
        self._refused = refused
        self._bucket = Bucket(_REFUSALS_PER_SECOND)
        self._unlogged = 0

    def count(self, error: E2EError) -> None:
        """One more."""
        self._refused(error.reason)

    async def slow_down(self, error: E2EError, peer: str) -> None:
        """To be awaited before the answer."""
        if not isinstance(error, Unauthenticated):
            return
        if self._bucket.take():
            self._unlogged += 1
            await asyncio.sleep(_PATIENCE)
            return
        more = f"; {self._unlogged} more since the last of these lines" if self._unlogged else ""
        self._unlogged = 0
        log.warning("refused a call from %s: %s%s", peer, error.reason, more)
