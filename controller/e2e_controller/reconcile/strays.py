"""Containers of ours that are not where they are looked for."""

from collections import defaultdict
from collections.abc import Iterable, Set

from e2e_controller.drivers.base import Key, ListedContainer
from e2e_controller.reconcile.steps import Remove, Step


class Strays:
    """Those with the labels of a key, but another name: renamed by hand, or made with copied labels.

    A look at a key is by name, so only a list of all tells of them.
    """

    def __init__(self) -> None:
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

    def of(self, key: Key) -> tuple[str, ...]:
        """The ids of those that have the key's labels."""
        return tuple(sorted(self._ids.get(key, ())))

    def removed(self, key: Key, done: Iterable[Step]) -> None:
        """Those steps were done."""
        gone = {step.container_id for step in done if isinstance(step, Remove)}
        if left := self._ids.pop(key, set()) - gone:
            self._ids[key] = left
