"""Files that change in the container that is there: plans, compared as text."""

from pathlib import Path

import pytest

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerPhase
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.desired import Desired, desired_container
from e2e_controller.reconcile.notes import NOTES_PATH, Notes, notes_file, parse_notes
from e2e_controller.reconcile.plan import make_plan
from e2e_controller.reconcile.steps import Note, Observed

from .builders import NOW, container, object_of, workload


def desired(content: str, on_change: str, state: str = "Running") -> Desired:
    file = {"path": "/app.conf", "content": content, "onChange": on_change}
    manifest = object_of(workload(files=[file], state=state))
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
        ("None", ["write /app.conf into c0ffee", "note c0ffee"]),
        ("Signal(SIGHUP)", ["write /app.conf into c0ffee", "SIGHUP to c0ffee", "note c0ffee"]),
        ("Restart", ["write /app.conf into c0ffee", "stop c0ffee", "start c0ffee", "note c0ffee"]),
        ("Recreate", ["remove c0ffee", "create busybox", "start"]),
    ],
)
def test_what_a_change_does(on_change: str, expected: list[str]) -> None:
    assert changed(on_change) == expected


def test_one_that_ended_by_itself_is_started_with_its_new_file() -> None:
    expected = ["write /app.conf into c0ffee", "start c0ffee", "note c0ffee"]
    assert changed("Restart", ContainerPhase.EXITED) == expected


def test_one_that_is_stopped_gets_its_file_and_stays_stopped() -> None:
    expected = ["write /app.conf into c0ffee", "note c0ffee"]
    assert changed("Restart", ContainerPhase.EXITED, "Stopped") == expected


def test_one_that_is_paused_gets_it_when_it_goes_on() -> None:
    assert changed("Restart", ContainerPhase.PAUSED, "Paused") == []


def test_the_note_has_the_new_content_and_then_nothing_is_left_to_do() -> None:
    new = desired("b", "None")
    found = container(spec_hash=new.spec_hash)
    observed = Observed(found, network_id="net", notes=notes_of(desired("a", "None")))
    plan = make_plan(new, observed, ObjectStatus(), NOW)
    note = plan.steps[-1]
    assert isinstance(note, Note)
    done = Observed(found, network_id="net", notes=note.notes)
    assert str(make_plan(new, done, ObjectStatus(), NOW)) == "nothing to do"


def test_notes_that_make_no_sense_are_none() -> None:
    for data in (b"", b"[]", b"{", b'{"files": 1}', b"\xff"):
        assert parse_notes(data) is None
    notes = Notes({"/a": "1"})
    assert parse_notes(notes_file(notes).content) == notes
