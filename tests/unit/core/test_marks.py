"""Marks of held environments, as a crash or a hostile hand leaves them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from e2e_controller.marks import Mark, Marks

ENDING = Mark(since=datetime(2030, 1, 1, tzinfo=UTC), cause="it has failed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "leases"


def test_they_are_read_as_they_were_written(folder: Path) -> None:
    marks = Marks(folder)
    assert marks.read() == {}
    marks.write("one", Mark())
    marks.write("two", Mark(keep=True))
    assert marks.read() == {"one": Mark(), "two": Mark(keep=True)}
    marks.write("two", ENDING)
    marks.remove("one")
    marks.remove("one")
    assert Marks(folder).read() == {"two": ENDING}
    assert [path.name for path in folder.iterdir()] == ["two"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"keep"',
        b"null",
        b"[]",
        b"17",
        b"\xff\xfe\x00",
        b'{"keep": "yes"}',
        b"[" * 4096,
        b'{"keep": false, "since": "soon"}',
        b'{"keep": false, "since": 17, "cause": ""}',
        b'{"keep": false, "since": "2030-01-01T00:00:00+00:00"}',
        b"x" * 10**6,
    ],
)
def test_a_torn_one_counts_as_held(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "torn").write_bytes(content)
    assert Marks(folder).read() == {"torn": Mark()}


def test_what_is_no_mark_is_passed_over(folder: Path) -> None:
    folder.mkdir()
    (folder / ".abc.tmp").write_text("{}")  # of a write that was cut off
    (folder / "folder").mkdir()
    (folder / "NOT_A_LABEL").write_text("{}")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "held").write_text('{"keep": true}')
    assert Marks(folder).read() == {"held": Mark(keep=True)}


def test_a_folder_that_cannot_be_read_does_not_stop_the_start(folder: Path) -> None:
    folder.write_text("a file")
    assert Marks(folder).read() == {}
