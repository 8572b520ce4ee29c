"""What is counted is what a look at all objects would count."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from e2e_api.manifests import Manifest, Workload
from e2e_controller.census import Census
from e2e_controller.drivers.base import Key
from e2e_controller.objects import CONTAINER_KINDS, Object

KEYS = st.builds(Key, st.sampled_from("ab"), st.sampled_from(["Workload", "Job"]), st.sampled_from("xyz"))
SIZES = st.fixed_dictionaries(
    {}, optional={"memory": st.integers(6 << 20, 1 << 40), "cpus": st.sampled_from([0.1, 0.3, 1.0, 2.5])}
)
STEPS = st.lists(st.tuples(KEYS, st.none() | st.just({}) | SIZES), max_size=30)


def manifest(resources: Mapping[str, Any]) -> Manifest:
    document = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "x"}}
    return Workload.model_validate({**document, "spec": {"image": "x", "resources": dict(resources)}})


@given(STEPS, KEYS, st.dictionaries(KEYS, SIZES, max_size=3))
def test_as_a_look_at_all(
    steps: list[tuple[Key, dict[str, Any] | None]], key: Key, more: dict[Key, dict[str, Any]]
) -> None:
    census, there = Census(), dict[Key, Object]()
    for changed, resources in steps:
        before = there.pop(changed, None)
        if resources is not None:
            there[changed] = Object(changed, manifest=manifest(resources))
        census.changed(changed, before, there.get(changed))
    proposed = {k: manifest(resources) for k, resources in more.items()}
    everything = {k: object_.manifest for k, object_ in there.items()} | proposed
    everything.pop(key, None)
    counted = [k for k in everything if k.kind in CONTAINER_KINDS]
    total, tally = census.beside(key, proposed)
    assert total == len(counted)
    inside = [found for k in counted if k.environment == key.environment and (found := everything[k])]
    assert tally.count == len(inside)
    defaults = manifest({"memory": 7 << 20, "cpus": 0.7}).spec.resources
    for name in ("memory", "cpus"):
        used = sum(getattr(m.spec.resources, name) or getattr(defaults, name) for m in inside)
        assert abs(tally.used(name, defaults) - used) < 1e-9


def test_nothing_is_kept_of_what_is_gone() -> None:
    census, key = Census(), Key("a", "Workload", "x")
    there = Object(key, manifest=manifest({"cpus": 0.3}))
    for before, after in ((None, there), (there, there), (there, None)):
        census.changed(key, before, after)
    assert (census._resources, census._tallies, census.mounting) == ({}, {}, {})
