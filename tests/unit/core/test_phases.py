"""Where a start's time went, and how ends are told."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from e2e_api.conditions import Condition, ConditionType, Reason, Status, action_for
from e2e_controller.drivers.base import ContainerPhase
from e2e_controller.objects import ObjectStatus, Phase
from e2e_controller.reconcile.endings import how_it_ended, lost_container, signal_name
from e2e_controller.reconcile.phases import start_phases, waiting_since

from .builders import NOW, container

READY = Condition(ConditionType.READY, Status.TRUE, Reason.PROBE_SUCCEEDED)
UNREADY = Condition(ConditionType.READY, Status.FALSE, Reason.STARTING)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def phase(name: str, began: float, duration: float = 1.0) -> Phase:
    return Phase(name, at(began), duration)


def told(
    previous: ObjectStatus,
    *new: Phase,
    waiting_for: str = "",
    restarted: bool = False,
    ready: Condition = UNREADY,
    now: float = 10,
    started: float = 0,
) -> list[tuple[str, float, float]]:
    found = start_phases(
        previous,
        new,
        restarted=restarted,
        waiting_for=waiting_for,
        goal=ready,
        container=container(started_at=at(started)),
        now=at(now),
    )
    return [(p.name, (p.started_at - NOW).total_seconds(), p.duration) for p in found]


def test_a_wait_for_the_network_becomes_a_phase_when_it_ends() -> None:
    status = ObjectStatus(waiting_for="network", waiting_since=at(1), phases=(phase("queue", 0),))
    assert told(status, waiting_for="network") == [("queue", 0, 1)]
    assert told(status, phase("create", 3), phase("start", 4)) == [
        ("queue", 0, 1),
        ("network", 1, 2),
        ("create", 3, 1),
        ("start", 4, 1),
    ]


def test_a_wait_counts_from_its_own_beginning() -> None:
    status = ObjectStatus(waiting_for="network", waiting_since=at(1))
    assert waiting_since(status, "network", at(5)) == at(1)
    assert waiting_since(status, "dependencies", at(5)) == at(5)
    assert waiting_since(status, "", at(5)) is None


def test_probing_counts_from_the_end_of_the_start_and_is_told_once() -> None:
    status = ObjectStatus(phases=(phase("start", 0, 2),))
    assert told(status, ready=READY, now=5) == [("start", 0, 2), ("probe", 2, 3)]
    done = ObjectStatus(phases=(phase("start", 0, 2), phase("probe", 2, 3)))
    assert told(done, ready=READY, now=50) == [("start", 0, 2), ("probe", 2, 3)]
    assert told(status, ready=replace(READY, reason=Reason.NO_PROBE), now=5) == [("start", 0, 2)]


def test_what_was_adopted_has_no_start_to_count_from() -> None:
    assert told(ObjectStatus(), ready=READY, now=17) == []
    assert told(ObjectStatus(), phase("start", 20, 1), restarted=True, ready=READY, now=23, started=20) == [
        ("start", 20, 1),
        ("probe", 21, 2),
    ]


def test_another_start_begins_anew_but_keeps_what_prepared_it() -> None:
    old = ObjectStatus(phases=(phase("create", 0), phase("start", 1)))
    assert told(old, phase("remove", 3), phase("pull", 4)) == [("remove", 3, 1), ("pull", 4, 1)]
    prepared = ObjectStatus(phases=(phase("remove", 3), phase("pull", 4)))
    names = [name for name, *_ in told(prepared, phase("create", 6), phase("start", 7))]
    assert names == ["remove", "pull", "create", "start"]
    assert told(old, phase("start", 6), restarted=True) == [("start", 6, 1)]
    assert [name for name, *_ in told(old, phase("create", 6))] == ["create"]


@pytest.mark.parametrize(
    ("code", "signal", "says"),
    [
        (0, "", "exited with code 0"),
        (126, "", "cannot be executed"),
        (127, "", "was not found"),
        (137, "SIGKILL", "(SIGKILL) after 2.0s; something outside killed it"),
        (139, "SIGSEGV", "segmentation fault"),
        (143, "SIGTERM", "asked it to end"),
        (255, "", "exited with code 255 after 2.0s"),
    ],
)
def test_exit_codes_in_words(code: int, signal: str, says: str) -> None:
    ended = container(ContainerPhase.EXITED, exit_code=code, finished_at=at(2))
    assert signal_name(code) == signal
    assert says in how_it_ended(ended)


def test_an_end_that_was_asked_for_or_is_known_needs_no_guess() -> None:
    killed = container(ContainerPhase.EXITED, exit_code=137, finished_at=at(2))
    assert how_it_ended(killed, asked=True) == "exited with code 137 (SIGKILL) after 2.0s"
    turned = replace(killed, started_at=killed.finished_at, finished_at=killed.started_at)
    assert "after 0.0s" in how_it_ended(turned)
    text = how_it_ended(replace(killed, oom_killed=True))
    assert "raise resources.memory" in text
    assert "docker kill" not in text


def test_what_somebody_else_removed_is_remembered() -> None:
    known = ObjectStatus(container=container(id_="a"), restart_count=2)
    assert lost_container(known, container(id_="a")) is None
    assert lost_container(ObjectStatus(), None) is None
    lost = lost_container(known, None)
    assert lost is not None
    assert (lost.container.id, lost.restart_count) == ("a", 2)
    assert lost.log_lines == ("(it was removed before its log could be read)",)


@pytest.mark.parametrize(
    ("reason", "may_pass", "action"),
    [
        ("Rejected", False, "fix-manifest"),
        ("ImagePullFailed", False, "fix-manifest"),
        ("ImagePullFailed", True, "fix-machine"),
        ("PortTaken", False, "fix-machine"),
        ("Exited", False, "see-evidence"),
        ("ProbeTimeout", True, "see-evidence"),
    ],
)
def test_what_helps(reason: str, may_pass: bool, action: str) -> None:
    assert action_for(reason, may_pass=may_pass) == action


def test_the_run_of_a_job_is_a_phase_of_its_own() -> None:
    found = start_phases(
        ObjectStatus(),
        (phase("start", 0),),
        restarted=False,
        waiting_for="",
        goal=Condition(ConditionType.COMPLETED, Status.TRUE, Reason.SUCCEEDED),
        container=container(started_at=at(0.5), finished_at=at(3)),
        now=at(4),
    )
    assert [(p.name, p.started_at, p.duration) for p in found][1:] == [("run", at(1), 2.0)]
