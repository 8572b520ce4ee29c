"""In which order manifests that are applied together become the desired state. Pure."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from e2e_api.manifests import Manifest, dependency_names
from e2e_controller.drivers.base import Key
from e2e_controller.objects import CONTAINER_KINDS, environment_key


def in_order(manifests: Mapping[Key, Manifest]) -> list[Key]:
    """Each after what it is made of or waits for: its environment's defaults, and what it depends on.

    The other way round it would be made with what was there before, and then once more. There is no cycle.
    """
    names = {(key.environment, key.name): key for key in manifests if key.kind in CONTAINER_KINDS}
    sorter: TopologicalSorter[Key] = TopologicalSorter()
    for key, manifest in manifests.items():
        sorter.add(key, *_before(key, manifest, names, manifests))
    return list(sorter.static_order())


def _before(
    key: Key, manifest: Manifest, names: Mapping[tuple[str, str], Key], manifests: Mapping[Key, Manifest]
) -> Iterable[Key]:
    if key.kind not in CONTAINER_KINDS:
        return []
    needed = [names.get((key.environment, name)) for name in dependency_names(manifest)]
    before = (environment_key(key.environment), *needed)
    return [other for other in before if other is not None and other in manifests]
