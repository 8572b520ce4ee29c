"""What an object waits for."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e_api.conditions import Condition, ConditionType, Reason, Status
from e2e_controller.objects import Object, ObjectStatus, environment_key
from e2e_controller.reconcile.dependencies import find_cycle, network_waiting, waiting_for

from .builders import container, job, object_of, workload


def needs(*dependencies: dict[str, str]) -> Object:
    return object_of(workload("web", dependsOn=list(dependencies)))


def there(manifest: Any, *true: ConditionType, reason: str = "", **changes: Any) -> Object:
    conditions = tuple(Condition(type_, Status.TRUE, reason, "why") for type_ in true)
    return object_of(manifest, status=ObjectStatus(1, conditions, **changes))


def told(object_: Object, *others: Object) -> str:
    found = {other.key.name: other for other in others}
    waiting = waiting_for(object_, found.get)
    return f"{waiting.reason}: {waiting.message}" if waiting else "goes on"


@pytest.mark.parametrize(
    ("condition", "other", "expected"),
    [
        (None, there(workload("db"), ConditionType.READY), "goes on"),
        (None, there(workload("db")), "WaitingForDependencies: waits for db to be Ready (Pending)"),
        ("Started", there(workload("db"), container=container()), "goes on"),
        ("Started", there(workload("db")), "WaitingForDependencies: waits for db to be Started (Pending)"),
        (None, there(job("db"), ConditionType.COMPLETED), "goes on"),
        ("Completed", there(job("db")), "WaitingForDependencies: waits for db to be Completed (Pending)"),
        (
            None,
            there(workload("db"), ConditionType.FAILED, reason=Reason.EXITED),
            "DependencyFailed: db failed: Exited: why",
        ),
        (
            "Ready",
            there(job("db")),
            "DependencyFailed: job db is never Ready: depend on its condition Completed",
        ),
        (
            "Completed",
            there(workload("db")),
            "DependencyFailed: workload db never is Completed: make it a Job, or depend on Ready",
        ),
    ],
)
def test_conditions(condition: str | None, other: Object, expected: str) -> None:
    dependency = {"name": "db"} | ({"condition": condition} if condition else {})
    assert told(needs(dependency), other) == expected


def test_what_is_not_there_yet_is_waited_for() -> None:
    expected = "WaitingForDependencies: waits for db, which is not there yet"
    assert told(needs({"name": "db"})) == expected
    assert told(needs({"name": "db"}), object_of(workload("db"), deleting=True)) == expected


def test_what_was_true_of_another_manifest_does_not_count() -> None:
    stale = object_of(
        workload("db"), status=ObjectStatus(0, (Condition(ConditionType.READY, Status.TRUE, ""),))
    )
    assert told(needs({"name": "db"}), stale).startswith("WaitingForDependencies")


def test_all_that_is_waited_for_is_told_and_a_failure_first() -> None:
    a, b = there(workload("a")), there(workload("b"), ConditionType.FAILED, reason=Reason.EXITED)
    assert told(needs({"name": "a"}, {"name": "c"}), a).count("to be Ready") == 1
    assert told(needs({"name": "a"}, {"name": "b"}), a, b) == "DependencyFailed: b failed: Exited: why"


def test_a_cycle_is_told_with_its_way() -> None:
    a = there(workload("a", dependsOn=[{"name": "web"}]))
    assert told(needs({"name": "a"}), a, needs({"name": "a"})) == (
        "DependencyCycle: it waits for itself: web -> a -> web; take one dependsOn away"
    )


@given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4)))
def test_cycles_that_are_found_are_cycles_and_none_is_missed(graph: dict[int, list[int]]) -> None:
    def edges(node: int) -> list[int]:
        return graph.get(node, [])

    reachable: set[int] = set(edges(0))
    while (more := {far for near in reachable for far in edges(near)} - reachable) != set():
        reachable |= more
    cycle = find_cycle(0, edges)
    assert bool(cycle) == (0 in reachable)
    assert all(far in edges(near) for near, far in pairwise(cycle))
    if cycle:
        assert (cycle[0], cycle[-1]) == (0, 0)


@pytest.mark.parametrize(("seen", "hopeless"), [(1, True), (0, False)])
def test_an_environment_has_failed_only_as_long_as_nobody_has_done_something_about_it(
    seen: int, hopeless: bool
) -> None:
    failed = Condition(ConditionType.FAILED, Status.TRUE, Reason.EXITED, "no more addresses")
    status = ObjectStatus(seen, (failed,))
    found = network_waiting(Object(environment_key("test"), generation=1, status=status))
    assert found.hopeless is hopeless
    assert ("no more addresses" in found.message) is hopeless
