"""Plans, compared as text."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Container, ContainerPhase
from e2e_controller.objects import Object, ObjectStatus, PastContainer, Source, environment_key
from e2e_controller.reconcile.desired import Desired, desired_container
from e2e_controller.reconcile.plan import make_plan, restart_delay
from e2e_controller.reconcile.steps import Create, Observed, Plan

from .builders import NOW, container, environment, object_of, workload

DIRECTORIES = Directories(Path("/state"))
PRESENT: dict[str, Any] = {"image_present": True, "network_id": "net"}


def desired(**spec: Any) -> Desired:
    wanted = desired_container(object_of(workload(**spec)), None, DIRECTORIES, mount_shared=True)
    assert wanted is not None
    return wanted


def plan(
    wanted: Desired | None,
    found: Container | None,
    previous: ObjectStatus | None = None,
    grace: float | None = None,
    **seen: Any,
) -> Plan:
    observed = Observed(found, **{**PRESENT, **seen})
    return make_plan(wanted, observed, previous or ObjectStatus(), NOW, grace)


def defaults_of(**spec: Any) -> Object:
    source = Source("/defaults/env.yaml", 1)
    return Object(environment_key("test"), environment(**spec), 1, source=source)


def matching(wanted: Desired, phase: ContainerPhase = ContainerPhase.RUNNING, **changes: Any) -> Container:
    return container(phase, spec_hash=wanted.spec_hash, **changes)


def lines(*expected: str) -> str:
    return "\n".join(expected)


def test_a_new_workload_is_created_and_started() -> None:
    assert str(plan(desired(), None)) == lines(
        "create busybox:1.36: it is not there",
        "start: state is Running",
    )


def test_a_missing_image_is_pulled_first() -> None:
    assert str(plan(desired(), None, image_present=False)) == lines(
        "pull busybox:1.36: it is not there",
        "create busybox:1.36: it is not there",
        "start: state is Running",
    )


def test_pull_always_pulls_what_is_there() -> None:
    assert str(plan(desired(imagePullPolicy="Always"), None)).startswith(
        "pull busybox:1.36: imagePullPolicy is Always"
    )


def test_pull_never_refuses_what_is_not_there() -> None:
    assert str(plan(desired(imagePullPolicy="Never"), None, image_present=False)) == (
        "refuse: image busybox:1.36 is not there, and imagePullPolicy is Never; "
        "build, load or pull it by hand, or allow to pull it"
    )


def test_without_a_network_only_the_image_is_got() -> None:
    found = plan(desired(), None, image_present=False, network_id="")
    assert str(found) == "pull busybox:1.36: it is not there"
    assert found.waiting is not None
    assert found.waiting.message == "waits for the environment's network"


def test_what_is_as_it_should_be_needs_nothing() -> None:
    wanted = desired()
    assert str(plan(wanted, matching(wanted))) == "nothing to do"


def test_a_changed_spec_replaces_the_container() -> None:
    wanted = desired(env={"A": "2"})
    old = matching(desired(env={"A": "1"}))
    assert str(plan(wanted, old)) == lines(
        "remove c0ffee: its spec changed",
        "create busybox:1.36: its spec changed",
        "start: state is Running",
    )


def kept_ports(found: Container | None, previous: ObjectStatus | None = None) -> Mapping[str, int]:
    (create,) = (step for step in plan(desired(), found, previous).steps if isinstance(step, Create))
    return create.spec.kept_ports


def test_a_new_container_takes_the_ports_of_the_one_before_unless_that_never_started() -> None:
    had = {"80/tcp": 20000}
    before = container(host_ports=had)
    assert kept_ports(before) == had
    assert kept_ports(None, ObjectStatus(container=before)) == had
    assert kept_ports(None, ObjectStatus(past=PastContainer(before, 0, ()))) == had
    in_vain = container(ContainerPhase.CREATED, host_ports=had)
    assert kept_ports(in_vain, ObjectStatus(container=before)) == kept_ports(None) == {}


def test_a_changed_spec_stops_gracefully_where_the_manifest_says_how() -> None:
    stop = {"gracePeriod": "5s"}
    old = matching(desired(env={"A": "1"}, stop=stop))
    assert str(plan(desired(env={"A": "2"}, stop=stop), old)).splitlines()[:2] == [
        "stop c0ffee: its spec changed",
        "remove c0ffee: its spec changed",
    ]


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        ({"phase": ContainerPhase.CREATED}, "it was created but never started"),
        ({"phase": ContainerPhase.DEAD}, "the engine gave it up"),
        ({"network_id": "another"}, "its network is gone"),
    ],
)
def test_what_cannot_serve_is_replaced(found: dict[str, Any], cause: str) -> None:
    wanted = desired()
    assert str(plan(wanted, matching(wanted, **found))) == lines(
        f"remove c0ffee: {cause}", f"create busybox:1.36: {cause}", "start: state is Running"
    )


def test_nobody_wants_it() -> None:
    assert str(plan(None, container())) == "remove c0ffee: nobody wants it"
    assert str(plan(None, None)) == "nothing to do"


def test_what_says_how_to_stop_is_stopped_so_when_nobody_wants_it() -> None:
    assert str(plan(None, container(), grace=5.0)) == lines(
        "stop c0ffee: nobody wants it", "remove c0ffee: nobody wants it"
    )
    ended = container(ContainerPhase.EXITED)
    assert str(plan(None, ended, grace=5.0)) == "remove c0ffee: nobody wants it"


@pytest.mark.parametrize(
    ("state", "phase", "expected"),
    [
        (
            "Stopped",
            ContainerPhase.RUNNING,
            ["stop c0ffee: state is Stopped"],
        ),
        (
            "Stopped",
            ContainerPhase.PAUSED,
            [f"{step} c0ffee: state is Stopped" for step in ("unpause", "stop")],
        ),
        ("Stopped", ContainerPhase.EXITED, []),
        ("Killed", ContainerPhase.RUNNING, ["kill c0ffee: state is Killed"]),
        ("Killed", ContainerPhase.PAUSED, ["kill c0ffee: state is Killed"]),
        ("Paused", ContainerPhase.RUNNING, ["pause c0ffee: state is Paused"]),
        ("Paused", ContainerPhase.PAUSED, []),
        ("Running", ContainerPhase.PAUSED, ["unpause c0ffee: state is Running"]),
    ],
)
def test_states(state: str, phase: ContainerPhase, expected: list[str]) -> None:
    wanted = desired(state=state)
    assert str(plan(wanted, matching(wanted, phase))) == ("\n".join(expected) or "nothing to do")


def test_a_stopped_workload_that_never_ran_is_not_created() -> None:
    assert str(plan(desired(state="Stopped"), None)) == "nothing to do"


def test_a_paused_workload_that_is_not_there_is_started_first() -> None:
    assert str(plan(desired(state="Paused"), None)).splitlines()[-2:] == [
        "start: state is Paused",
        "pause: state is Paused",
    ]


def test_from_stopped_back_to_running_in_the_same_container() -> None:
    wanted = desired()
    found = matching(wanted, ContainerPhase.EXITED, exit_code=143)
    assert str(plan(wanted, found, rested=True)) == "start c0ffee: state is Running again"


@pytest.mark.parametrize(
    ("phase", "replaced"),
    [(ContainerPhase.RUNNING, True), (ContainerPhase.PAUSED, True), (ContainerPhase.EXITED, False)],
)
def test_what_was_taken_out_of_its_network_is_replaced(phase: ContainerPhase, replaced: bool) -> None:
    wanted = desired()
    text = str(plan(wanted, matching(wanted, phase, network_id="", exit_code=1)))
    assert ("it was taken out of its network" in text) == replaced


def test_what_exited_by_itself_is_not_started_again() -> None:
    wanted = desired()
    found = matching(wanted, ContainerPhase.EXITED, exit_code=1)
    assert str(plan(wanted, found)) == "nothing to do"


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [("OnFailure", 1, True), ("OnFailure", 0, False), ("Always", 0, True), ("Never", 1, False)],
)
def test_restart_policies(policy: str, code: int, restarts: bool) -> None:
    wanted = desired(restartPolicy=policy)
    long_ago = NOW - timedelta(hours=1)
    found = matching(wanted, ContainerPhase.EXITED, exit_code=code, finished_at=long_ago)
    cause = f"start c0ffee: it exited with code {code}, and restartPolicy is {policy}"
    seen = ObjectStatus(container=found, end_seen_at=long_ago)
    assert str(plan(wanted, found, seen)) == (cause if restarts else "nothing to do")


def test_a_restart_waits_for_its_delay() -> None:
    wanted = desired(restartPolicy="Always")
    found = matching(wanted, ContainerPhase.EXITED, exit_code=1, finished_at=NOW)
    previous = ObjectStatus(restart_count=3)
    waiting = plan(wanted, found, previous)
    assert not waiting.steps
    assert waiting.requeue_after == pytest.approx(restart_delay(3))


@pytest.mark.parametrize("hours", [-5, 5])
def test_no_clock_makes_a_restart_wait_longer_than_its_delay(hours: int) -> None:
    """The engine's clock runs ahead; or ours is set back, or on, while the restart is due."""
    wanted = desired(restartPolicy="Always")
    ahead = NOW + timedelta(hours=5)
    found = matching(wanted, ContainerPhase.EXITED, exit_code=1, finished_at=ahead)
    assert plan(wanted, found).requeue_after == pytest.approx(restart_delay(0))
    seen = ObjectStatus(container=found, end_seen_at=NOW - timedelta(seconds=0.08))
    assert plan(wanted, found, seen).requeue_after == pytest.approx(restart_delay(0) - 0.08)
    jumped = ObjectStatus(container=found, end_seen_at=NOW - timedelta(hours=hours))
    assert plan(wanted, found, jumped).steps


def test_restart_delays_grow_to_a_bound() -> None:
    assert [restart_delay(n) for n in (0, 1, 2, 100)] == [0.1, 0.2, 0.4, 30.0]


def test_environment_defaults_are_part_of_the_spec() -> None:
    plain = desired()
    defaults = defaults_of(resources={"memory": "64Mi", "cpus": 0.5}, labels={"team": "a"})
    wanted = desired_container(object_of(workload()), defaults, DIRECTORIES, mount_shared=True)
    assert wanted is not None
    assert (wanted.spec.memory, wanted.spec.cpus, wanted.spec.labels) == (64 * 2**20, 0.5, {"team": "a"})
    assert wanted.spec_hash != plain.spec_hash


def test_own_values_win_over_the_environments() -> None:
    defaults = defaults_of(resources={"memory": "64Mi"}, volumes=[{"source": "shared", "target": "/data"}])
    own = workload(resources={"memory": "32Mi"}, volumes=[{"source": "mine", "target": "/data"}])
    wanted = desired_container(object_of(own), defaults, DIRECTORIES, mount_shared=False)
    assert wanted is not None
    assert wanted.spec.memory == 32 * 2**20
    assert [mount.source for mount in wanted.spec.mounts] == ["mine"]


def test_state_readiness_and_grace_are_no_part_of_the_hash() -> None:
    changed = desired(state="Stopped", readiness={"log": {"pattern": "x"}}, stop={"gracePeriod": "1s"})
    assert changed.spec_hash == desired().spec_hash


def test_relative_paths_are_relative_to_the_manifests_folder() -> None:
    wanted = desired(volumes=[{"source": "./conf", "target": "/conf"}])
    assert wanted.spec.mounts[0].source == "/m/conf"


def test_relative_paths_of_defaults_are_relative_to_their_own_folder() -> None:
    defaults = defaults_of(volumes=[{"source": "./data", "target": "/data"}])
    wanted = desired_container(object_of(workload()), defaults, DIRECTORIES, mount_shared=False)
    assert wanted is not None
    assert [mount.source for mount in wanted.spec.mounts] == ["/defaults/data"]
