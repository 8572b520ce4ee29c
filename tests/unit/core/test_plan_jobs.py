"""Plans for jobs, compared as text."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e_api.conditions import Condition, ConditionType, Reason, Status
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Container, ContainerPhase
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.attempts import Attempts
from e2e_controller.reconcile.desired import Desired, desired_container
from e2e_controller.reconcile.outcome import Outcome
from e2e_controller.reconcile.plan import make_plan, restart_delay
from e2e_controller.reconcile.status import workload_status
from e2e_controller.reconcile.steps import NO_NETWORK, Create, Observed, Plan

from .builders import NOW, container, job, object_of

LONG_AGO = NOW - timedelta(hours=1)


def desired(**spec: Any) -> Desired:
    wanted = desired_container(object_of(job(**spec)), None, Directories(Path("/state")), mount_shared=True)
    assert wanted is not None
    return wanted


def plan(wanted: Desired, found: Container | None, previous: ObjectStatus | None = None) -> Plan:
    observed = Observed(found, image_present=True, network_id="net")
    seen = ObjectStatus(container=found, end_seen_at=LONG_AGO)
    return make_plan(wanted, observed, previous or seen, NOW)


def ended(wanted: Desired, code: int, **changes: Any) -> Container:
    values = {"finished_at": LONG_AGO, **changes}
    return container(ContainerPhase.EXITED, spec_hash=wanted.spec_hash, exit_code=code, **values)


def test_it_is_created_and_started() -> None:
    assert str(plan(desired(), None)) == "create busybox:1.36: it is not there\nstart: it is to run once"


@pytest.mark.parametrize("phase", [ContainerPhase.RUNNING, ContainerPhase.EXITED])
def test_nothing_is_done_while_it_runs_or_when_it_has_run(phase: ContainerPhase) -> None:
    wanted = desired()
    found = container(phase, spec_hash=wanted.spec_hash, exit_code=0)
    assert str(plan(wanted, found)) == "nothing to do"


def test_one_that_failed_is_left_alone_without_retries() -> None:
    wanted = desired()
    assert str(plan(wanted, ended(wanted, 1))) == "nothing to do"


@pytest.mark.parametrize(("reason", "failed"), [(Reason.SUCCEEDED, False), (Reason.OOM_KILLED, True)])
def test_one_that_has_ended_stays_so_when_only_a_note_tells_of_it(
    tmp_path: Path, reason: Reason, failed: bool
) -> None:
    wanted, wish = desired(retries=2), object_of(job(retries=2))
    running = Condition(ConditionType.RUNNING, Status.FALSE, reason, "exited\nas it did")
    told = Condition(ConditionType.FAILED if failed else ConditionType.COMPLETED, Status.TRUE, reason)
    before = ObjectStatus(conditions=(running, told), spec_hash=wanted.spec_hash)
    Attempts(tmp_path).note_end(wish.key, wanted, ended(wanted, int(failed), attempt=2), before)
    end = Attempts(tmp_path).end(wish.key, wanted.spec_hash)
    observed = Observed(image_present=True, network_id="net", end=end)
    assert str(make_plan(wanted, observed, ObjectStatus(), NOW)) == "nothing to do"
    status = workload_status(wish, wanted, observed, Outcome(), None, NOW)
    assert status.is_true(ConditionType.FAILED) == failed
    assert status.is_true(ConditionType.COMPLETED) != failed
    assert (status.progress, status.restart_count) == ("exited as it did", 2)
    assert Attempts(tmp_path).end(wish.key, "another") is None


def test_no_end_is_noted_of_one_that_is_tried_again(tmp_path: Path) -> None:
    wanted = desired(retries=2)
    running = Condition(ConditionType.RUNNING, Status.FALSE, Reason.RETRYING)
    status = ObjectStatus(conditions=(running,), spec_hash=wanted.spec_hash)
    attempts, at = Attempts(tmp_path), object_of(job()).key
    attempts.note(at, wanted.spec_hash, 1)
    attempts.note_end(at, wanted, ended(wanted, 1), status)
    assert (attempts.next(at, wanted.spec_hash), attempts.end(at, wanted.spec_hash)) == (1, None)


def test_a_retry_is_a_new_container() -> None:
    wanted = desired(retries=2)
    found = plan(wanted, ended(wanted, 3, attempt=1))
    cause = "it exited with code 3; retry 2 of 2"
    assert str(found) == f"remove c0ffee: {cause}\ncreate busybox:1.36: {cause}\nstart: it is to run once"
    (create,) = (step for step in found.steps if isinstance(step, Create))
    assert create.spec.attempt == 2
    assert create.spec_hash == wanted.spec_hash
    assert str(plan(wanted, ended(wanted, 3, attempt=2))) == "nothing to do"


def test_a_retry_waits_for_its_delay() -> None:
    wanted = desired(retries=5)
    found = ended(wanted, 1, attempt=2)
    assert plan(wanted, found, ObjectStatus(container=found, end_seen_at=NOW)).requeue_after == restart_delay(
        2
    )


@pytest.mark.parametrize("change", [{"runId": "again"}, {"env": {"A": "1"}}])
def test_another_spec_or_run_id_runs_it_again(change: dict[str, Any]) -> None:
    done = ended(desired(), 0)
    assert str(plan(desired(**change), done)).splitlines()[0] == "remove c0ffee: its spec changed"


def test_retries_and_grace_are_no_other_job() -> None:
    assert desired(retries=4, stop={"gracePeriod": "1s"}).spec_hash == desired().spec_hash


@pytest.mark.parametrize(
    ("type_", "reason"),
    [(ConditionType.COMPLETED, Reason.SUCCEEDED), (ConditionType.FAILED, Reason.EXITED)],
)
def test_one_that_is_over_is_not_run_again_when_its_container_is_removed(
    type_: ConditionType, reason: Reason
) -> None:
    wanted = desired()
    over = Condition(type_, Status.TRUE, reason)
    previous = ObjectStatus(conditions=(over,), spec_hash=wanted.spec_hash, container=ended(wanted, 0))
    assert str(plan(wanted, None, previous)) == "nothing to do"
    assert str(plan(desired(runId="2"), None, previous)).startswith("create")


def test_one_that_could_not_be_made_is_not_over() -> None:
    wanted = desired()
    failed = Condition(ConditionType.FAILED, Status.TRUE, Reason.IMAGE_PULL_FAILED)
    previous = ObjectStatus(conditions=(failed,), spec_hash=wanted.spec_hash, container=ended(wanted, 1))
    assert str(plan(wanted, None, previous)).startswith("create")


def test_a_retry_keeps_what_is_there_until_there_is_a_network() -> None:
    wanted = desired(retries=2)
    found = ended(wanted, 1)
    waits = make_plan(wanted, Observed(found), ObjectStatus(container=found, end_seen_at=LONG_AGO), NOW)
    assert (waits.steps, waits.waiting) == ((), NO_NETWORK)


def test_one_that_was_created_and_never_started_keeps_its_number() -> None:
    wanted = desired(retries=3)
    found = container(ContainerPhase.CREATED, spec_hash=wanted.spec_hash, attempt=2)
    (create,) = (step for step in plan(wanted, found).steps if isinstance(step, Create))
    assert create.spec.attempt == 2
