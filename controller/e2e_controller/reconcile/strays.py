"""Containers of ours that are not where they are looked for."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Set

from e2e_controller.drivers.base import Driver, Key, ListedContainer
from e2e_controller.events import EventLog

log = logging.getLogger(__name__)


class Strays:
    """Those with the labels of a key, but another name: renamed by hand, or made with copied labels.

    A look at a key is by name, so only a list of all tells of them. They go before anything else is done
    about the key: one of them may have the name of another key, whose stray has this one's.
    """

    def __init__(self, driver: Driver, events: EventLog) -> None:
        self._driver = driver
        self._events = events
        self._ids: defaultdict[Key, set[str]] = defaultdict(set)

    @property
    def keys(self) -> Set[Key]:
        """Whose labels they have."""
        return self._ids.keys()

    def note(self, listed: Iterable[ListedContainer]) -> None:
        """What a list of all containers of ours tells; what one before it told counts no longer."""
        self._ids.clear()
        for found in listed:
            if found.is_stray:
                self._ids[found.key].add(found.id)

    async def remove(self, key: Key) -> None:
        """Removes those that have the key's labels. Raises `DriverError`."""
        for container_id in sorted(self._ids.get(key, ())):
            await self._driver.remove(container_id)
            self._ids[key].discard(container_id)
            cause = f"remove {container_id[:12]}: it has the labels of {key.name}, but another name"
            log.info("%s: %s", key, cause, extra={"key": str(key)})
            self._events.record(key, "Remove", cause)
        if not self._ids.get(key):
            self._ids.pop(key, None)
