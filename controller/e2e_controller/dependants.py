"""Who depends on whom, so that whoever waits for an object is looked at when something else is true of it."""

from collections.abc import Callable

from e2e_controller.drivers.base import Key
from e2e_controller.objects import CONTAINER_KINDS, Object


class Dependants:
    """The manifests' `dependsOn`, the other way round."""

    def __init__(self, enqueue: Callable[[Key], None]) -> None:
        self._enqueue = enqueue
        self._waiting: dict[tuple[str, str], set[Key]] = {}  # by environment and name of what is needed

    def changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """To be called with each change of an object; None: it was, or is, not there."""
        if key.kind not in CONTAINER_KINDS:
            return
        old, new = (set(object_.depends_on) if object_ else set() for object_ in (before, after))
        for name in old - new:
            self._remove(key, name)
        for name in new - old:
            self._waiting.setdefault((key.environment, name), set()).add(key)
        if before is None or after is None or before.facts != after.facts:
            for dependant in self._waiting.get((key.environment, key.name), ()):
                self._enqueue(dependant)

    def _remove(self, key: Key, name: str) -> None:
        waiting = self._waiting[key.environment, name]
        waiting.discard(key)
        if not waiting:
            del self._waiting[key.environment, name]
