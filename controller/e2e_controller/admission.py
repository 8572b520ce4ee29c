"""Which manifests count: those that the policy allows, among all that are there."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from e2e_api.conditions import Reason
from e2e_api.manifests import EnvironmentSpec, Manifest
from e2e_api.manifests.texts import is_below
from e2e_api.quantities import format_quantity
from e2e_controller.census import Census, Tally
from e2e_controller.definitions import Claim
from e2e_controller.drivers.base import Key
from e2e_controller.objects import (
    CONTAINER_KINDS,
    Object,
    Rejection,
    Source,
    environment_key,
)
from e2e_controller.policy import Denial, Judge, Place, Policy, Wanted, overlaps, wanted_of_manifest

ROUNDING = 1e-9
"""By which a sum of cores may be more than its parts are."""
MAX_MESSAGE = 4_000
_ELSEWHERE = "another environment's workload"
"""Which one is not everybody's business."""


class Admission:
    """Judges manifests among the objects that there are; the store keeps `objects`, this only reads it.

    What is counted is counted of all that has a container or may have one: what is being deleted counts until
    it is gone. Who was there first stays.
    """

    def __init__(
        self, judge: Judge | None, objects: Mapping[Key, Object], is_implied: Callable[[Key], bool]
    ) -> None:
        self._judge = judge or Judge.permissive()
        self._objects = objects
        self._is_implied = is_implied
        self.census = Census()
        """To be told of each change of an object."""
        self.waiting: dict[Key, None] = {}
        """What is denied because of others, in the order of coming."""
        self._places: dict[Key, tuple[Manifest, tuple[Place, ...]]] = {}
        """Where the mounts of manifests led when they were looked at."""

    @property
    def _policy(self) -> Policy:
        return self._judge.policy

    def admitted(self, claim: Claim, current: Object | None, *, anew: bool = False) -> Claim:
        """The claim as it counts: what is denied leaves the version before in force, if that is allowed.

        What counts already is not judged again, unless `anew`: the policy may be another one by now.
        """
        if claim.manifest is None:
            return claim
        if not anew and _counts(claim, current):
            self.waiting.pop(claim.key, None)
            return claim
        denials = self.denials(claim.key, claim.manifest, claim.source)
        if denials and all(denial.may_pass for denial in denials):
            self.waiting.setdefault(claim.key)
        else:
            self.waiting.pop(claim.key, None)
        if not denials:
            return claim
        message = f"{claim.source}: {'; '.join(map(str, denials))}"[:MAX_MESSAGE]
        rejection = claim.rejection or Rejection(Reason.POLICY_DENIED, message, claim.source)
        return replace(claim, manifest=self._last_good(claim, current), rejection=rejection)

    def _last_good(self, claim: Claim, current: Object | None) -> Manifest | None:
        """The version that is in force, as long as the same file defines it."""
        if current is None or current.deleting or current.source is None or current.manifest is None:
            return None
        if current.source.path != claim.source.path:
            return None
        denied = self.denials(claim.key, current.manifest, current.source)
        return None if denied else current.manifest

    def denials(
        self,
        key: Key,
        manifest: Manifest,
        source: Source | None,
        others: Mapping[Key, Manifest] | None = None,
    ) -> tuple[Denial, ...]:
        """What is denied of a manifest; `others` are as if they were there already."""
        if self._judge.allows_all:
            return ()
        proposed = others or {}
        wanted = self._wanted(key, manifest, source, proposed)
        return (
            *self._judge.judge(wanted),
            *self._counted(key, manifest, wanted, proposed),
            *self._beside(key, wanted, proposed),
        )

    def environment_denials(self, environment: str) -> tuple[Denial, ...]:
        """What is denied of there being the environment, were it not there yet."""
        return tuple(self._of_environments(environment, {}))

    def _wanted(
        self, key: Key, manifest: Manifest, source: Source | None, proposed: Mapping[Key, Manifest]
    ) -> Wanted:
        defaults = self._defaults(key.environment, proposed)
        folder = Path(source.path).parent if source else Path("/")
        watched = source is not None and not source.managed
        return wanted_of_manifest(manifest, key.environment, folder, defaults, watched=watched)

    def _defaults(self, environment: str, proposed: Mapping[Key, Manifest]) -> EnvironmentSpec:
        key = environment_key(environment)
        there = self._objects.get(key)
        above = proposed.get(key) or (there.manifest if there else None)
        return above.spec if above and isinstance(above.spec, EnvironmentSpec) else EnvironmentSpec()

    def _counted(
        self, key: Key, manifest: Manifest, wanted: Wanted, proposed: Mapping[Key, Manifest]
    ) -> Iterator[Denial]:
        if not self._policy.has_caps:
            return
        yield from self._of_environments(key.environment, proposed)
        total, beside = self.census.beside(key, proposed)
        if key.kind not in CONTAINER_KINDS:
            yield from self._sums(replace(wanted, memory=0, cpus=0.0), beside, {**proposed, key: manifest})
            return
        for rule, count, most in (
            ("total", total, self._policy.objects.total),
            ("perEnvironment", beside.count, self._policy.objects.per_environment),
        ):
            if most is not None and count >= most:
                message = f"there are {count} workloads and jobs, and there may be {most}; delete one first"
                yield Denial(f"objects.{rule}", "metadata.name", message, may_pass=True)
        yield from self._sums(wanted, beside, proposed)

    def _sums(self, wanted: Wanted, beside: Tally, proposed: Mapping[Key, Manifest]) -> Iterator[Denial]:
        limits = self._policy.resources.per_environment
        defaults = self._defaults(wanted.environment, proposed).resources
        for name, most in (("memory", limits.memory), ("cpus", limits.cpus)):
            given = getattr(wanted, name)
            if most is None or given is None:
                continue
            used = beside.used(name, defaults)
            if used + given > most + ROUNDING:
                mine, theirs, limit = map(format_quantity, (given, used, most))
                message = f"{mine} beside the {theirs} of others is more than the environment's {limit}; "
                field = f"spec.resources.{name}"
                yield Denial("resources.perEnvironment", field, f"{message}ask for less", may_pass=True)

    def _beside(self, key: Key, wanted: Wanted, proposed: Mapping[Key, Manifest]) -> Iterator[Denial]:
        if not wanted.mounts or not self._judge.lists_writable:
            return
        others = {**self.census.mounting, **proposed}
        others.pop(key, None)
        own = tuple(self._led(key, wanted))
        places = [
            place if k.environment == key.environment else replace(place, whose=_ELSEWHERE)
            for k, manifest in others.items()
            for place in self._places_of(k, manifest, proposed)
            if any(is_below(place.path, mine.path) or is_below(mine.path, place.path) for mine in own)
        ]
        yield from overlaps(own, places)

    def _places_of(self, key: Key, manifest: Manifest, proposed: Mapping[Key, Manifest]) -> tuple[Place, ...]:
        if not manifest.spec.volumes:
            return ()
        if len(self._places) > 2 * len(self._objects) + len(proposed):
            self._places.clear()  # mostly of what is gone
        known = self._places.get(key)
        if known is None or known[0] is not manifest:
            object_ = None if key in proposed else self._objects.get(key)
            wanted = self._wanted(key, manifest, object_.source if object_ else None, proposed)
            known = self._places[key] = manifest, tuple(self._led(key, wanted))
        return known[1]

    def _led(self, key: Key, wanted: Wanted) -> Iterator[Place]:
        for mount in wanted.mounts:
            path = self._judge.paths.look(mount.path, own=mount.own).path
            yield Place(f"{key.kind} {key.environment}/{key.name}", mount.field, path, mount.read_only)

    def _of_environments(self, environment: str, proposed: Mapping[Key, Manifest]) -> Iterator[Denial]:
        most = self._policy.environments
        if most is None:
            return
        if len(self.census.environments) + len(proposed) < most:
            return  # those that are not real included
        there = {key.environment for key in self.census.environments if self._is_real(key)}
        there = (there | {key.environment for key in proposed}) - {environment}
        if len(there) >= most:
            message = f"there are {len(there)} environments, and there may be {most}; delete one first"
            yield Denial("environments", "metadata.environment", message, may_pass=True)

    def _is_real(self, key: Key) -> bool:
        """Whether the environment is more than a manifest that does not count."""
        object_ = self._objects[key]
        made = object_.deleting or bool(object_.status.network_id)
        return made or object_.manifest is not None or self._is_implied(key)


def _counts(claim: Claim, current: Object | None) -> bool:
    """Whether what it says is in force, by the same file."""
    return (
        current is not None
        and not current.deleting
        and current.source is not None
        and current.source.path == claim.source.path
        and current.manifest == claim.manifest
    )
