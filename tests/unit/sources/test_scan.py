"""Walking: what is read, what is not, and what is wrong with folders."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e_controller.sources import scan
from e2e_controller.sources.scan import Limits, Scan, environment_of, is_manifest, scan_folder


def relative_files(found: Scan) -> list[str]:
    return sorted(path[len(found.root) + 1 :] for path in found.files)


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.json", "A.YAML", "a.b.yaml", "4913.yaml", "ä.yaml"])
def test_manifests(name: str) -> None:
    assert is_manifest(name)


@pytest.mark.parametrize(
    "name",
    [
        ".a.yaml",
        ".#a.yaml",
        "#a.yaml#",
        "#a.yaml",
        "a.yaml~",
        "~$a.yaml",
        ".a.yaml.swp",
        "a.yaml.swp",
        "a.yaml.tmp",
        "a.yaml.bak",
        "a.yaml.orig",
        "a.yaml.old",
        "4913",
        ".goutputstream-X1.yaml",
        "a.yaml___jb_tmp___",
        "a.yaml.kate-swp",
        "README.md",
        "yaml",
        "a.yaml.123.part",
    ],
)
def test_no_manifests(name: str) -> None:
    assert not is_manifest(name)


@pytest.mark.parametrize(
    ("relative", "environment"),
    [
        ("a.yaml", None),
        ("thanos/a.yaml", "thanos"),
        ("thanos/deep/er/a.yaml", "thanos"),
        ("My_Team/a.yaml", None),
        ("x" * 64 + "/a.yaml", None),
        ("team\n/a.yaml", None),
    ],
)
def test_environment_is_the_first_folder(relative: str, environment: str | None) -> None:
    assert environment_of(relative) == environment


def test_nested_folders_and_hidden_ones(tmp_path: Path) -> None:
    for name in ("a.yaml", "x/b.yml", "x/y/z/c.json", ".git/d.yaml", "old~/e.yaml", "x/.h/f.yaml", "x/g.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = scan_folder(str(tmp_path))
    assert relative_files(found) == ["a.yaml", "x/b.yml", "x/y/z/c.json"]
    assert sorted(found.folders) == [str(tmp_path / name) for name in (".", "x", "x/y", "x/y/z")]
    assert not found.problems


def test_a_folder_may_be_named_like_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    (tmp_path / "x.yaml" / "a.yaml").touch()
    assert relative_files(scan_folder(str(tmp_path))) == ["x.yaml/a.yaml"]


def test_missing_root(tmp_path: Path) -> None:
    found = scan_folder(str(tmp_path / "none"))
    assert found.problems == {"": "the folder does not exist"}
    assert found.complete
    (tmp_path / "file").touch()
    assert "" in scan_folder(str(tmp_path / "file")).problems


def test_links_are_walked_once_and_last(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.yaml").touch()
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "alias").symlink_to("real")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "nothing").symlink_to("nowhere")
    (tmp_path / "file.yaml").symlink_to("real/a.yaml")
    found = scan_folder(str(tmp_path))
    assert relative_files(found) == ["file.yaml", "real/a.yaml"]
    assert not found.problems


def test_link_to_a_folder_outside(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.yaml").touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "team").symlink_to(tmp_path / "outside")
    assert relative_files(scan_folder(str(tmp_path / "in"))) == ["team/a.yaml"]


def test_a_file_that_cannot_be_looked_at_is_listed(tmp_path: Path) -> None:
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "round.yaml").symlink_to("round.yaml")
    found = scan_folder(str(tmp_path))
    assert list(found.files.values()) == [None, None]
    changed, _ = found.compare(found.files)
    assert len(changed) == 2


def test_special_files_are_listed_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.yaml"))
        assert relative_files(scan_folder(str(tmp_path))) == ["pipe.yaml", "s.yaml"]


def test_limit_of_depth(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 4)
    deep.mkdir(parents=True)
    for folder in (deep, deep.parent):
        (folder / "a.yaml").touch()
    found = scan_folder(str(tmp_path), Limits(depth=3))
    assert relative_files(found) == ["d/d/d/a.yaml"]
    assert found.problems == {"d/d/d/d": "deeper than 3 folders; it is not read"}


@pytest.mark.parametrize("limits", [Limits(files=3), Limits(entries=4)])
def test_limit_of_number(tmp_path: Path, limits: Limits) -> None:
    for index in range(5):
        (tmp_path / f"{index}.yaml").touch()
    found = scan_folder(str(tmp_path), limits)
    assert not found.complete
    assert "the rest is not read" in found.problems[""]
    known = dict.fromkeys([str(tmp_path / "4.yaml"), str(tmp_path / "9.yaml")])
    assert found.compare(known)[1] == {str(tmp_path / "9.yaml")}


def test_unreadable_folder_keeps_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open/a.yaml", "closed/b.yaml", "closed/deep/c.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = scan_folder(str(tmp_path))
    listing = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/closed"):
            raise PermissionError(13, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr(scan.os, "scandir", scandir)
    found = scan_folder(str(tmp_path))
    assert relative_files(found) == ["open/a.yaml"]
    assert found.problems == {"closed": "the folder cannot be read: Permission denied"}
    assert found.compare(before.files) == ([], set())


class UnseenEntry:
    """An entry whose kind is known, but that cannot be looked at, as on a network file system in trouble."""

    def __init__(self, entry: os.DirEntry[str], error: int) -> None:
        self._entry = entry
        self._error = error
        self.name, self.path = entry.name, entry.path

    def is_dir(self) -> bool:
        return self._entry.is_dir()

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def stat(self) -> os.stat_result:
        raise OSError(self._error, os.strerror(self._error), self.path)


@pytest.mark.parametrize(
    ("error", "problems"),
    [(errno.ESTALE, {"x": f"the folder cannot be read: {os.strerror(errno.ESTALE)}"}), (errno.ENOENT, {})],
)
def test_a_folder_that_cannot_be_looked_at_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, problems: dict[str, str]
) -> None:
    for name in ("x/a.yaml", "x.yaml/b.yaml", "y/c.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = scan_folder(str(tmp_path))
    listing = os.scandir

    @contextmanager
    def scandir(path: str) -> Iterator[list[object]]:
        with listing(path) as entries:
            yield [UnseenEntry(entry, error) if entry.name in ("x", "x.yaml") else entry for entry in entries]

    monkeypatch.setattr(scan.os, "scandir", scandir)
    found = scan_folder(str(tmp_path))
    assert found.problems == problems
    missing = {Path(path).name for path in found.compare(before.files)[1]}
    assert missing == (set() if problems else {"a.yaml", "b.yaml"})


def test_a_folder_may_be_named_like_a_probe_of_vims(tmp_path: Path) -> None:
    (tmp_path / "4913").mkdir()
    (tmp_path / "4913" / "a.yaml").touch()
    assert relative_files(scan_folder(str(tmp_path))) == ["4913/a.yaml"]


def test_a_first_folder_that_is_no_label_is_a_problem_once_it_holds_manifests(tmp_path: Path) -> None:
    (tmp_path / "My_Team" / "deep").mkdir(parents=True)
    assert not scan_folder(str(tmp_path)).problems
    (tmp_path / "My_Team" / "deep" / "a.yaml").touch()
    assert "no lowercase DNS label" in scan_folder(str(tmp_path)).problems["My_Team"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml")).touch()
    found = scan_folder(str(tmp_path))
    assert not found.files
    assert "not UTF-8" in found.problems[""]


def test_compare_sees_every_change(tmp_path: Path) -> None:
    for name in ("same", "size", "time", "inode", "gone"):
        (tmp_path / f"{name}.yaml").write_text("x")
    before = scan_folder(str(tmp_path)).files
    (tmp_path / "size.yaml").write_text("xy")
    os.utime(tmp_path / "time.yaml", ns=(1, 1))
    (tmp_path / "copy").write_text("x")
    (tmp_path / "copy").rename(tmp_path / "inode.yaml")
    (tmp_path / "gone.yaml").unlink()
    (tmp_path / "new.yaml").touch()
    changed, missing = scan_folder(str(tmp_path)).compare(before)
    assert [Path(path).stem for path in changed] == ["inode", "new", "size", "time"]
    assert missing == {str(tmp_path / "gone.yaml")}


def test_a_watch_begins_before_the_folder_is_listed(tmp_path: Path) -> None:
    def enter(path: str, _identity: object) -> None:
        Path(path, "late.yaml").touch()

    assert relative_files(scan_folder(str(tmp_path), before_listing=enter)) == ["late.yaml"]
