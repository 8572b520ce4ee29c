"""What is told of a workload, from what is wanted and seen."""

from datetime import timedelta
from pathlib import Path

import pytest

from e2e_api.conditions import ConditionType, Status
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerPhase, Health
from e2e_controller.objects import ObjectStatus
from e2e_controller.probes import ProbeReport
from e2e_controller.reconcile.desired import desired_container
from e2e_controller.reconcile.endings import how_it_ended
from e2e_controller.reconcile.outcome import Outcome
from e2e_controller.reconcile.status import workload_status
from e2e_controller.reconcile.steps import Observed

from .builders import NOW, container, object_of, workload


def status_with_health(health: Health, phase: ContainerPhase) -> ObjectStatus:
    wanted = object_of(workload(readiness={"healthcheck": {}}))
    desired = desired_container(wanted, None, Directories(Path("/state")), mount_shared=False)
    observed = Observed(container(phase, health=health, exit_code=None), network_id="net")
    return workload_status(wanted, desired, observed, Outcome(), None, NOW)


def test_an_image_without_a_healthcheck_never_is_healthy() -> None:
    status = status_with_health(Health.NONE, ContainerPhase.RUNNING)
    failed = status.condition(ConditionType.FAILED)
    assert failed is not None
    assert (failed.reason, status.action) == ("NoHealthcheck", "fix-manifest")
    assert "image busybox:1.36 has no HEALTHCHECK: take another probe" in failed.message


@pytest.mark.parametrize(
    ("health", "phase"),
    [
        (Health.STARTING, ContainerPhase.RUNNING),
        (Health.UNHEALTHY, ContainerPhase.RUNNING),
        (Health.NONE, ContainerPhase.PAUSED),
        (Health.NONE, ContainerPhase.CREATED),
    ],
)
def test_one_that_may_become_healthy_has_not_failed(health: Health, phase: ContainerPhase) -> None:
    assert not status_with_health(health, phase).is_true(ConditionType.FAILED)


@pytest.mark.parametrize(
    ("failures", "message"),
    [(0, "timeout after 1s"), (2, "still so after 2 of 3 failures that end it, the last: timeout after 1s")],
)
def test_a_failed_attempt_is_not_told_as_a_success_of_what_is_ready_still(
    failures: int, message: str
) -> None:
    wanted = object_of(workload(readiness={"exec": {"command": ["true"]}}))
    desired = desired_container(wanted, None, Directories(Path("/state")), mount_shared=False)
    report = ProbeReport("c0ffee", True, False, "true", "timeout after 1s", NOW, 9, failures)
    status = workload_status(wanted, desired, Observed(container(), network_id="net"), Outcome(), report, NOW)
    ready = status.condition(ConditionType.READY)
    assert ready is not None
    assert (ready.status, ready.message) == (Status.TRUE, message)
    assert status.probe is not None
    assert status.probe.success is (failures == 0)


def test_no_run_is_shorter_than_nothing() -> None:
    """The engine may note the end of a short run as before its beginning."""
    ended = container(ContainerPhase.EXITED, exit_code=0, finished_at=NOW - timedelta(seconds=0.05))
    assert how_it_ended(ended) == "exited with code 0 after 0.0s"


@pytest.mark.parametrize(
    ("address", "endpoints"),
    [
        ("127.0.0.1", {"http": "127.0.0.1:8080"}),
        ("fd00::1", {"http": "[fd00::1]:8080"}),
        ("", {}),
    ],
)
def test_where_a_workload_is_reached(address: str, endpoints: dict[str, str]) -> None:
    wanted = object_of(workload(ports={"http": 80}))
    desired = desired_container(wanted, None, Directories(Path("/state")), mount_shared=False)
    running = container(ContainerPhase.RUNNING, host_ports={"80/tcp": 8080}, host_address=address)
    status = workload_status(wanted, desired, Observed(running, network_id="net"), Outcome(), None, NOW)
    assert status.endpoints == endpoints
