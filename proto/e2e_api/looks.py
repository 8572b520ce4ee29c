"""What all who look at something again and again have in common."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Stability:
    """Whether something holds for so many seconds without a break."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: float | None = None
        self.longest = 0.0
        """Seconds that it has held at most."""

    def add(self, holds: bool, now: float) -> bool:
        """Notes a look, in seconds of a steady clock; whether it has held for long enough by then."""
        if not holds:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        self.longest = max(self.longest, now - self._since)
        return now - self._since >= self.seconds


def add_spread(kept: list[T], added: T, limit: int, time_of: Callable[[T], float]) -> None:
    """Adds what is newest to a history; of more than `limit`, one that others are near to in time goes.

    The first and the newest always stay.
    """
    kept.append(added)
    if len(kept) > max(limit, 2):
        thin(kept, time_of)


def thin(kept: list[T], time_of: Callable[[T], float]) -> None:
    """Takes one out of a history of three or more: whose neighbours are the nearest to each other."""
    times = [time_of(item) for item in kept]
    del kept[min(range(1, len(kept) - 1), key=lambda index: times[index + 1] - times[index - 1])]
