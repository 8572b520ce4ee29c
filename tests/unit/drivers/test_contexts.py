"""The digest of a build context: the same for the same build, another for another."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

from e2e_controller.drivers.base import BuildSpec
from e2e_controller.drivers.docker import contexts
from e2e_controller.drivers.docker.contexts import context_digest, pack_context
from e2e_controller.drivers.docker.ignoring import paths_in


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


@pytest.mark.parametrize(
    "ignored",
    [
        (),
        ("*",),
        ("*", "!sub/data"),
        ("**/data", "!program"),
        ("/sub/", "."),
        ("sub/../program", "SUB/l?nk"),
        ("[p-s]*", "!sub/[!a-l]*"),
        ("**", "!**/d*a"),
        (r"a\b", "a b", "ünï*", "x-[]y]"),
        ("Dockerfile", ".dockerignore", "sub/**"),
    ],
)
def test_what_is_ignored_is_what_the_engines_client_ignores(folder: Path, ignored: tuple[str, ...]) -> None:
    for name in ("a b", "ünïcode", "x-]", "sub/a b", "sub/x-y", "a\\b"):
        (folder / name).touch()
    assert paths_in(folder, ignored, "Dockerfile") == sorted(exclude_paths(str(folder), list(ignored)))


def test_no_pattern_takes_long(folder: Path) -> None:
    """Where a program stops all else for years, this test never ends."""
    (folder / ("a" * 200)).touch()
    (folder / ".dockerignore").write_text("*a*a*a*a*a*a*a*a*a*a*a*b\n")
    assert digest(folder)


@pytest.mark.parametrize("text", ["[z-a]\n", "x" * 2**21])
def test_patterns_that_are_none_are_told_of(folder: Path, text: str) -> None:
    (folder / ".dockerignore").write_text(text)
    assert digest(folder) == ""
    with pytest.raises(ValueError, match=r"not a regular expression|has more than \d+ bytes"):
        pack_context(BuildSpec("tag", str(folder)))


def test_names_that_are_no_text_are_packed(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).touch()
    assert digest(folder)
    assert len(paths_in(folder, ("*.txt",), "Dockerfile")) == len(paths_in(folder, (), "Dockerfile")) - 1


def test_a_dockerfile_from_outside_is_packed_and_in_no_image(folder: Path) -> None:
    (folder.parent / "other").write_text("FROM a\n")
    packed, name = pack_context(BuildSpec("tag", str(folder), "../other"))
    with packed, tarfile.open(fileobj=packed) as found:
        names = found.getnames()
        assert sorted(names) == sorted(
            [".dockerignore", "Dockerfile", "program", "sub", "sub/data", "sub/link", name]
        )
        ignored = found.extractfile(".dockerignore")
        assert ignored is not None
        assert ignored.read().decode().splitlines() == ["*.log", "sub/cache", name]
