"""Directories that containers share, and what hostile ones may put there."""

import os
from pathlib import Path

import pytest

from e2e import Conflict, Environment, InvalidArgument
from e2e.directories import make_open, write_file

from .fake_controller import FakeController


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What is none of a container's business."""
    directory = tmp_path / "outside"
    directory.mkdir(mode=0o700)
    (directory / "file").write_text("precious")
    return directory


def unharmed(outside: Path) -> bool:
    return (
        outside.stat().st_mode & 0o777 == 0o700
        and list(outside.iterdir()) == [outside / "file"]
        and (outside / "file").read_text() == "precious"
    )


def test_a_directory_is_made_for_whichever_user(tmp_path: Path) -> None:
    directory = make_open(tmp_path / "shared", "web")
    assert directory == tmp_path / "shared" / "web"
    assert directory.stat().st_mode & 0o777 == 0o777
    directory.chmod(0o755)
    assert make_open(tmp_path / "shared", "web").stat().st_mode & 0o777 == 0o777


def test_files_are_written_with_their_folders(tmp_path: Path) -> None:
    assert write_file(tmp_path, "a/b/c", b"first, and longer") == tmp_path / "a/b/c"
    assert write_file(tmp_path, "a/x/../b/c", b"second").read_bytes() == b"second"
    assert write_file(tmp_path, str(tmp_path / "d"), b"") == tmp_path / "d"


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "/etc/x", ".", ""])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    base = tmp_path / "base"
    base.mkdir()
    with pytest.raises(InvalidArgument, match="is no path of a file below"):
        write_file(base, path, b"")
    assert list(tmp_path.iterdir()) == [base]


def test_a_workloads_directory_that_became_a_link(
    controller: FakeController, tmp_path: Path, outside: Path
) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x")
        web.write_file("file", "mine")
        web.dir.rename(tmp_path / "shared" / "away")
        (tmp_path / "shared" / "web").symlink_to(outside)
        with pytest.raises(Conflict, match=r"/shared/web is a link or of another kind"):
            _ = web.dir
        with pytest.raises(Conflict, match=r"/shared/web is a link or of another kind"):
            web.write_file("file", "mine")
    assert unharmed(outside)


def test_links_below_are_not_followed(tmp_path: Path, outside: Path) -> None:
    base = make_open(tmp_path / "shared", "web")
    (base / "folder").symlink_to(outside)
    (base / "file").symlink_to(outside / "file")
    (base / "new").symlink_to(outside / "new")
    for path in ("folder/file", "folder/deep/file", "file", "new"):
        with pytest.raises(Conflict, match=f"{base}/{path.split('/')[0]} is a link"):
            write_file(base, path, b"mine")
    assert unharmed(outside)


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path in ("pipe", "folder", "file/below"):
        with pytest.raises(Conflict, match="of another kind"):
            write_file(tmp_path, path, b"mine")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(Conflict, match="of another kind"):
            write_file(tmp_path, "pipe", b"mine")
    finally:
        os.close(reader)
