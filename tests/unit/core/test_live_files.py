"""Files that change in the container that is there: plans, compared as text."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e_api.conditions import Condition, ConditionType, Reason, Status
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerPhase
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.desired import Desired, desired_container
from e2e_controller.reconcile.notes import NOTES_PATH, Notes, notes_file, parse_notes
from e2e_controller.reconcile.plan import make_plan
from e2e_controller.reconcile.steps import Note, Observed, PutFiles

from .builders import NOW, container, object_of, workload


def desired(content: str, on_change: str, state: str = "Running", **spec: Any) -> Desired:
    file = {"path": "/app.conf", "content": content, "onChange": on_change}
    manifest = object_of(workload(files=[file], state=state, **spec))
    wanted = desired_container(manifest, None, Directories(Path("/state")), mount_shared=True)
    assert wanted is not None
    return wanted


def notes_of(wanted: Desired) -> Notes:
    """The notes that a container is created with."""
    (content,) = [file.content for file in wanted.spec.files if file.path == NOTES_PATH] or [b""]
    return parse_notes(content) or Notes()


def changed(
    on_change: str, phase: ContainerPhase = ContainerPhase.RUNNING, state: str = "Running"
) -> list[str]:
    """The plan after the content has changed."""
    old, new = desired("a", on_change), desired("b", on_change, state)
    found = container(phase, spec_hash=old.spec_hash, exit_code=1)
    observed = Observed(found, network_id="net", notes=notes_of(old), image_present=True)
    return [str(step).partition(":")[0] for step in make_plan(new, observed, ObjectStatus(), NOW).steps]


def test_the_content_of_live_files_is_no_part_of_the_hash() -> None:
    assert desired("a", "Restart").spec_hash == desired("b", "Restart").spec_hash
    assert desired("a", "Recreate").spec_hash != desired("b", "Recreate").spec_hash


@pytest.mark.parametrize(
    ("on_change", "expected"),
    [
        ("None", ["write /app.conf into c0ffee"]),
        ("Signal(SIGHUP)", ["write /app.conf into c0ffee", "SIGHUP to c0ffee", "note c0ffee"]),
        ("Restart", ["write /app.conf into c0ffee", "stop c0ffee", "start c0ffee", "note c0ffee"]),
        ("Recreate", ["remove c0ffee", "create busybox", "start"]),
    ],
)
def test_what_a_change_does(on_change: str, expected: list[str]) -> None:
    assert changed(on_change) == expected


READY = (Condition(ConditionType.READY, Status.TRUE, Reason.PROBE_SUCCEEDED),)


def test_a_signal_waits_for_the_program_to_listen_but_not_for_ever() -> None:
    probed = {"ports": {"http": 80}, "readiness": {"http": {"port": "http"}}}
    old, new = (desired(content, "Signal(SIGHUP)", **probed) for content in "ab")
    found = container(spec_hash=old.spec_hash)
    observed = Observed(found, network_id="net", notes=notes_of(old))

    def plan(seconds: float, status: ObjectStatus | None = None, seen: Observed = observed) -> list[str]:
        made = make_plan(new, seen, status or ObjectStatus(), NOW + timedelta(seconds=seconds))
        steps = [str(step).partition(":")[0] for step in made.steps]
        return [*steps, *([] if made.requeue_after is None else [f"again after {made.requeue_after:g}"])]

    write, all_of_it = "write /app.conf into c0ffee", ["SIGHUP to c0ffee", "note c0ffee"]
    assert plan(1) == [write, "again after 0.25"]
    digests = {file.content.path: file.digest for file in new.live_files}
    written = replace(observed, notes=Notes(digests, applied=False))
    assert plan(1, seen=written) == ["again after 0.25"]
    assert plan(4.875, seen=written) == ["again after 0.125"]
    assert plan(5, seen=written) == [write, *all_of_it]
    assert plan(-60, seen=written) == [write, *all_of_it]  # of two clocks that differ
    ready = ObjectStatus(container=found, conditions=READY)
    assert plan(1, ready, written) == [write, *all_of_it]
    restarted = replace(found, started_at=NOW - timedelta(seconds=9))
    assert plan(1, replace(ready, container=restarted), written) == ["again after 0.25"]


def test_one_that_ended_by_itself_is_started_with_its_new_file() -> None:
    expected = ["write /app.conf into c0ffee", "start c0ffee", "note c0ffee"]
    assert changed("Restart", ContainerPhase.EXITED) == expected


def test_one_that_is_stopped_gets_its_file_and_stays_stopped() -> None:
    assert changed("Restart", ContainerPhase.EXITED, "Stopped") == ["write /app.conf into c0ffee"]


def test_one_that_is_paused_gets_it_when_it_goes_on() -> None:
    assert changed("Restart", ContainerPhase.PAUSED, "Paused") == []


@pytest.mark.parametrize("on_change", ["None", "Restart"])
def test_the_notes_have_the_new_content_and_then_nothing_is_left_to_do(on_change: str) -> None:
    new = desired("b", on_change)
    found = container(spec_hash=new.spec_hash)
    observed = Observed(found, network_id="net", notes=notes_of(desired("a", on_change)))
    last = make_plan(new, observed, ObjectStatus(), NOW).steps[-1]
    assert isinstance(last, Note | PutFiles)
    done = Observed(found, network_id="net", notes=last.notes)
    assert str(make_plan(new, done, ObjectStatus(), NOW)) == "nothing to do"


def test_what_was_cut_off_after_the_writing_is_done_again() -> None:
    new = desired("b", "Restart")
    found = container(spec_hash=new.spec_hash)
    observed = Observed(found, network_id="net", notes=notes_of(desired("a", "Restart")))
    put = make_plan(new, observed, ObjectStatus(), NOW).steps[0]
    assert isinstance(put, PutFiles)
    cut_off = Observed(found, network_id="net", notes=put.notes)
    steps = [type(step).__name__ for step in make_plan(new, cut_off, ObjectStatus(), NOW).steps]
    assert steps == ["PutFiles", "Stop", "Start", "Note"]


def test_notes_that_make_no_sense_are_none() -> None:
    for data in (b"", b"[]", b"{", b'{"files": 1, "applied": true}', b'{"files": {}}', b"\xff"):
        assert parse_notes(data) is None
    notes = Notes({"/a": "1"})
    assert parse_notes(notes_file(notes).content) == notes
