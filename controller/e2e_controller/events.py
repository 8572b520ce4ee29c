"""Events: who, what, why, how often. The newest are kept; the same thing again only counts."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from e2e_controller.drivers.base import Key

MAX_EVENTS = 2_000
MAX_OF_ONE = 200
"""Of one object, so that one that fails again and again leaves room for the others."""
MAX_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one object, `count` times."""

    key: Key
    warning: bool
    reason: str
    message: str
    first_time: datetime
    last_time: datetime
    count: int = 1


class EventLog:
    """The newest events, and who follows them."""

    def __init__(
        self, now: Callable[[], datetime], hide: Callable[[Key, str], str] = lambda _key, text: text
    ) -> None:
        """`hide` gives a text about an object without secrets."""
        self._now = now
        self._hide = hide
        self._events: OrderedDict[tuple[Key, str, str], Event] = OrderedDict()
        self._of_one: dict[Key, OrderedDict[tuple[Key, str, str], None]] = {}
        self._followers: set[Follower] = set()

    def record(self, key: Key, reason: str, message: str = "", *, warning: bool = False) -> None:
        """Adds an event, or counts it up when it is known."""
        now, message = self._now(), self._hide(key, message)[:MAX_MESSAGE]
        identity = (key, reason, message)
        known = self._events.pop(identity, None)
        if known is None:
            event = Event(key, warning, reason, message, now, now)
        else:
            event = replace(known, last_time=now, count=known.count + 1)
        self._events[identity] = event
        own = self._of_one.setdefault(key, OrderedDict())
        own[identity] = None
        own.move_to_end(identity)
        if len(own) > MAX_OF_ONE:
            self._forget(next(iter(own)))
        if len(self._events) > MAX_EVENTS:
            self._forget(next(iter(self._events)))
        for follower in self._followers:
            follower.push(event)

    def _forget(self, identity: tuple[Key, str, str]) -> None:
        key = identity[0]
        del self._events[identity], self._of_one[key][identity]
        if not self._of_one[key]:
            del self._of_one[key]

    def kept(self) -> tuple[Event, ...]:
        """All that are kept, oldest first."""
        return tuple(self._events.values())

    def follow(self, wake: Callable[[], None]) -> "Follower":
        """Collects new events; `wake` is called when there are some. Close it."""
        follower = Follower(self._followers, wake)
        self._followers.add(follower)
        return follower


class Follower:
    """New events for one reader; a slow one loses the oldest."""

    def __init__(self, followers: "set[Follower]", wake: Callable[[], None]) -> None:
        self._followers = followers
        self._wake = wake
        self._pending: deque[Event] = deque(maxlen=MAX_EVENTS)

    def push(self, event: Event) -> None:
        """Adds one."""
        self._pending.append(event)
        self._wake()

    def take(self) -> tuple[Event, ...]:
        """All since the last call."""
        events = tuple(self._pending)
        self._pending.clear()
        return events

    def close(self) -> None:
        """Stops collecting."""
        self._followers.discard(self)
