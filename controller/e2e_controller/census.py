"""What is counted of objects, kept as they come and go: who asks need not look at all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from e2e_api.manifests import Manifest, Resources
from e2e_controller.drivers.base import Key
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, Object

COUNTED = ("memory", "cpus")


@dataclass(slots=True)
class Tally:
    """Of the workloads and jobs of one environment."""

    count: int = 0
    given: dict[str, Fraction] = field(default_factory=lambda: dict.fromkeys(COUNTED, Fraction()))
    """Bytes and cores that they ask for themselves; exact, as they are taken away again."""
    missing: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    """How many have what the environment's defaults say."""

    def add(self, resources: Resources, sign: int = 1) -> None:
        """One more, or with -1 one less."""
        self.count += sign
        for name in COUNTED:
            if value := getattr(resources, name):
                self.given[name] += sign * Fraction(value)
            else:
                self.missing[name] += sign

    def copy(self) -> "Tally":
        """One that may be changed."""
        return Tally(self.count, {**self.given}, {**self.missing})

    def used(self, name: str, defaults: Resources) -> float:
        """Bytes of memory, or cores, of all together."""
        used = self.given[name] + self.missing[name] * Fraction(getattr(defaults, name) or 0)
        return float(used) if name == "cpus" else int(used)


class Census:
    """Counts what has a container or may have one: what is being deleted, too, until it is gone."""

    def __init__(self) -> None:
        self._resources: dict[Key, Resources] = {}
        self._tallies: dict[str, Tally] = {}
        self.environments: set[Key] = set()
        """The objects of the kind."""
        self.mounting: dict[Key, Manifest] = {}
        """Manifests that ask for paths of the host."""

    def changed(self, key: Key, _before: Object | None, after: Object | None) -> None:
        """To be called with each change of an object; None: it is not there any more."""
        manifest = after.manifest if after is not None else None
        if key.kind == ENVIRONMENT:
            (self.environments.discard if after is None else self.environments.add)(key)
        if manifest is not None and any(volume.is_host_path for volume in manifest.spec.volumes):
            self.mounting[key] = manifest
        else:
            self.mounting.pop(key, None)
        if key.kind in CONTAINER_KINDS:
            self._count(key, manifest.spec.resources if manifest is not None else None)

    def beside(self, key: Key, proposed: Mapping[Key, Manifest]) -> tuple[int, Tally]:
        """How many workloads and jobs there would be without the key, with what is proposed besides.

        And the tally of those in its environment.
        """
        others = {k: m.spec.resources for k, m in proposed.items() if k.kind in CONTAINER_KINDS and k != key}
        replaced = [k for k in (key, *others) if k in self._resources]
        tally = self._tallies.get(key.environment, Tally()).copy()
        for other in _of(key.environment, replaced):
            tally.add(self._resources[other], -1)
        for other in _of(key.environment, others):
            tally.add(others[other])
        return len(self._resources) - len(replaced) + len(others), tally

    def _count(self, key: Key, resources: Resources | None) -> None:
        before = self._resources.get(key)
        if before is resources:
            return
        tally = self._tallies.setdefault(key.environment, Tally())
        if before is not None:
            tally.add(before, -1)
            del self._resources[key]
        if resources is not None:
            tally.add(resources)
            self._resources[key] = resources
        if not tally.count:
            del self._tallies[key.environment]


def _of(environment: str, keys: Iterable[Key]) -> Iterable[Key]:
    return (key for key in keys if key.environment == environment)
