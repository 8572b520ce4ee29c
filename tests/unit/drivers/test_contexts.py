"""The digest of a build context: the same for the same build, another for another."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e_controller.drivers.base import BuildSpec
from e2e_controller.drivers.docker import contexts
from e2e_controller.drivers.docker.contexts import context_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text("# not these\n*.log\nsub/cache\n")
    (folder / "program").write_text("one")
    (folder / "sub" / "data").write_text("two")
    (folder / "sub" / "link").symlink_to("data")
    return folder


def digest(folder: Path, dockerfile: str = "Dockerfile") -> str:
    return context_digest(BuildSpec("tag", str(folder), dockerfile))


def touch(folder: Path) -> None:
    os.utime(folder / "program", (1, 1))


def ignored(folder: Path) -> None:
    (folder / "much.log").write_text("noise")
    (folder / "sub" / "cache").mkdir()


def link(folder: Path) -> None:
    (folder / "sub" / "link").unlink()
    (folder / "sub" / "link").symlink_to("../program")


@pytest.mark.parametrize("change", [touch, ignored])
def test_what_a_build_does_not_see_changes_nothing(folder: Path, change: Callable[[Path], None]) -> None:
    before = digest(folder)
    change(folder)
    assert digest(folder) == before != ""


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "program").write_text("another"),
        lambda folder: (folder / "program").chmod(0o755),
        lambda folder: (folder / "program").rename(folder / "renamed"),
        lambda folder: (folder / "sub" / "new").touch(),
        lambda folder: (folder / "sub" / "empty").mkdir(),
        lambda folder: (folder / "Dockerfile").write_text("FROM other\n"),
        lambda folder: (folder / ".dockerignore").write_text("program\n"),
        link,
    ],
)
def test_what_a_build_sees_counts(folder: Path, change: Callable[[Path], None]) -> None:
    before = digest(folder)
    change(folder)
    assert digest(folder) not in ("", before)


def test_a_dockerfile_outside_counts(folder: Path) -> None:
    outside = folder.parent / "other.Dockerfile"
    outside.write_text("FROM a\n")
    before = digest(folder, "../other.Dockerfile")
    assert digest(folder, "../other.Dockerfile") == before
    outside.write_text("FROM b\n")
    assert digest(folder, "../other.Dockerfile") not in ("", before)


def test_what_cannot_be_read_has_none(folder: Path) -> None:
    assert digest(folder / "missing") == ""
    assert digest(folder, "missing.Dockerfile") == ""


def test_it_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "MOST_BYTES", 0)
    before = digest(folder)
    touch(folder)  # beyond the bound the time counts
    assert digest(folder) != before
    monkeypatch.setattr(contexts, "MOST_FILES", 0)
    before = digest(folder)
    (folder / "program").write_text("another")
    assert digest(folder) == before


def test_pipes_and_sockets_are_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert digest(folder)
