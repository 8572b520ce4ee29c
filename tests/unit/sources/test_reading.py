"""Reading one file: it never hangs, never reads too much, never raises."""

import errno
import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from source_helpers import manifest

from e2e_api.yaml_nodes import MAX_BYTES
from e2e_controller.sources import reading, writers
from e2e_controller.sources.reading import read_file
from e2e_controller.sources.writers import Writer, find_writer


def test_content(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(manifest("a") + "---\n" + manifest("b"))
    first = read_file(str(path))
    assert [document.name for document in first.documents] == ["a", "b"]
    assert (first.writer, first.problem, first.unchanged) == (Writer.NONE, None, False)
    again = read_file(str(path), first.fingerprint)
    assert again.unchanged
    assert not again.documents


def test_absent(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file").touch()
    for name in ("none.yaml", "folder.yaml", "file/a.yaml"):
        assert read_file(str(tmp_path / name)).absent


def test_special_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.yaml"))
    monkeypatch.setattr(reading.os, "open", None)
    for name, kind in (("pipe", "a named pipe"), ("device", "a device"), ("socket", "a socket")):
        found = read_file(str(tmp_path / f"{name}.yaml"))
        assert found.reason == "ReadError"
        assert str(found.problem) == f"{kind}, not a regular file"


def test_a_file_of_the_kernel_that_has_nothing_to_say_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> None:  # type: ignore[override]
            return None

    (tmp_path / "a.yaml").touch()
    monkeypatch.setattr(reading.os, "fdopen", lambda descriptor, _mode: os.close(descriptor) or Silent())
    monkeypatch.setattr(reading, "find_writer", lambda _descriptor: Writer.NONE)
    monkeypatch.setattr(reading.os, "fstat", lambda _descriptor: (tmp_path / "a.yaml").stat())
    assert read_file(str(tmp_path / "a.yaml")).reason == "ReadError"


def test_a_pipe_that_takes_the_files_place_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    path.touch()
    opening = os.open

    def swapped(name: str, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return opening(name, flags)

    monkeypatch.setattr(reading.os, "open", swapped)
    assert not read_file(str(path)).fingerprint
    monkeypatch.undo()
    assert read_file(str(path)).reason == "ReadError"


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as stream:
        stream.truncate(100 * 2**20)
    monkeypatch.setattr(reading.os, "open", None)
    found = read_file(str(path))
    assert found.reason == "ReadError"
    assert "too large" in str(found.problem)


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert read_file(str(path)).fingerprint
    assert read_file(str(path)).problem is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: \xff", "1:4: not UTF-8 text; save the file as UTF-8"),
        (b"\x7fELF\0\0", "not a text file: it has a NUL byte"),
        (b"a: [1", "2:1: not YAML"),
        (b"a: &a [x]\nb: [*z]", "2:5: not YAML: found undefined alias"),
    ],
)
def test_what_is_no_yaml(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    found = read_file(str(path))
    assert found.reason == "ParseError"
    assert message.removeprefix("2:1: ") in str(found.problem)
    assert read_file(str(path), found.fingerprint).unchanged


def test_yaml_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    assert "aliases" in str(read_file(str(tmp_path / "a.yaml")).problem)


def test_links(tmp_path: Path) -> None:
    (tmp_path / "target").write_text(manifest("a"))
    (tmp_path / "good.yaml").symlink_to("target")
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "round.yaml").symlink_to("round.yaml")
    assert read_file(str(tmp_path / "good.yaml")).documents
    assert str(read_file(str(tmp_path / "dangling.yaml")).problem) == "a symbolic link to nothing"
    assert os.strerror(errno.ELOOP) in str(read_file(str(tmp_path / "round.yaml")).problem)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").touch()

    def denied(*_args: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading.os, "open", denied)
    found = read_file(str(tmp_path / "a.yaml"))
    assert (found.reason, str(found.problem)) == ("ReadError", "cannot be read: Permission denied")


def test_a_bug_in_the_parser_is_a_problem_of_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").touch()
    monkeypatch.setattr(reading, "parse_documents", lambda _data: 1 / 0)
    assert read_file(str(tmp_path / "a.yaml")).reason == "ParseError"


def test_a_file_that_changes_while_it_is_read_counts_as_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(manifest("a"))
    calls = 0

    def between(descriptor: int) -> Writer:
        nonlocal calls
        calls += 1
        if calls == 1:
            path.write_text(manifest("a")[:20])
        return find_writer(descriptor)

    monkeypatch.setattr(reading, "find_writer", between)
    found = read_file(str(path))
    assert found.writer is Writer.PRESENT
    assert not found.fingerprint


needs_leases = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux'")


@needs_leases
def test_the_kernel_knows_writers(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(manifest("a"))
    with path.open("a"):
        assert read_file(str(path)).writer is Writer.PRESENT
        assert not read_file(str(path)).fingerprint
        assert read_file(str(path), "", True).documents
    with path.open("r"):
        assert read_file(str(path)).writer is Writer.NONE
    descriptor = os.open(path, os.O_RDWR)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor])
    os.close(descriptor)
    assert read_file(str(path)).writer is Writer.PRESENT
    child.kill()
    child.wait()
    assert read_file(str(path)).writer is Writer.NONE


@needs_leases
def test_asking_for_writers_never_ends_the_process(tmp_path: Path) -> None:
    """A writer that comes while the lease is held makes the kernel send a signal."""
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    append = """
import itertools, pathlib, sys
for number in itertools.count(1):
    open(sys.argv[1], 'a').close()
    if number == 1000:
        print(number, flush=True)
    if number >= 1000 and not pathlib.Path(sys.argv[1]).stat().st_size:
        break
"""
    command = [sys.executable, "-c", append, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        os.set_blocking(writer.stdout.fileno(), False)
        while not writer.stdout.read():
            read_file(str(path))
        for _ in range(1000):
            read_file(str(path))
        path.write_text("")  # enough
    assert writer.returncode == 0
    assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL


@needs_leases
def test_where_the_kernel_cannot_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(manifest("a"))
    monkeypatch.setattr(writers, "_is_remote", lambda _device: True)
    assert read_file(str(path)).writer is Writer.UNKNOWN
    monkeypatch.undo()

    def refused(*_args: Any) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(writers.fcntl, "fcntl", refused)
    found = read_file(str(path))
    assert found.writer is Writer.UNKNOWN
    assert found.documents


def test_kinds_of_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    table = (
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "23 1 0:50 / /mnt/nfs rw - nfs4 host:/x rw\n"
        "24 1 0:51 / /mnt/mac rw shared:3 - fuse.grpcfuse grpcfuse rw\n"
        "25 1 0:52 / /tmp rw - tmpfs tmpfs rw\n"
    )
    monkeypatch.setattr(writers.Path, "read_text", lambda _self, **_options: table)
    remote = {
        number: writers._is_remote.__wrapped__(os.makedev(*number))
        for number in ((8, 1), (0, 50), (0, 51), (0, 52), (9, 9))
    }
    assert remote == {(8, 1): False, (0, 50): True, (0, 51): True, (0, 52): False, (9, 9): False}
