"""The embedded controller's start, with a stand-in for the controller."""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from e2e import Unavailable, embedded
from e2e.addresses import Target, parse, resolve, revive
from e2e_api.errors import InvalidArgument
from tests.conftest import is_gone

from .fake_controller import until

SERVES = """
import os, socket, sys
path, ready = sys.argv[1:]
with open(os.path.dirname(path) + "/starts", "a") as file:
    file.write("start\\n")
try:
    os.unlink(path)
except FileNotFoundError:
    pass
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
os.write(int(ready), b"ready\\n")
os.close(int(ready))
while True:
    server.accept()
"""
IN_USE = """
import os, sys
path, ready = sys.argv[1:]
marker = os.path.dirname(path) + "/refused"
if not os.path.exists(marker):
    open(marker, "w").close()
    sys.stderr.write("state folder is in use by process 1")
    sys.exit(4)
"""
FAILS = "import sys; sys.exit('no engine: start dockerd')"
HANGS = "import os; os.write(1, b'still at it\\n'); os.execlp('sleep', 'sleep', '600')"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[embedded.Place]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        monkeypatch.setenv("E2E_STATE_DIR", f"{directory}/state")
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        monkeypatch.delenv("E2E_CONTROLLER", raising=False)
        found = embedded.Place.default()
        yield found
        if found.pid_file.exists():
            process = int(found.pid_file.read_text())
            if is_one_for(found, process):  # it may have ended, and its number be another's
                kill(process)


def is_one_for(place: embedded.Place, process: int) -> bool:
    try:
        return os.fsencode(place.socket) in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not is_gone(process):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    def command(place: embedded.Place, ready: int) -> list[str]:
        return [sys.executable, "-c", script, str(place.socket), str(ready)]

    monkeypatch.setattr(embedded, "_command", command)


def test_it_is_started_once_for_all(place: embedded.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, SERVES)
    with ThreadPoolExecutor(8) as pool:
        targets = set(pool.map(lambda _: embedded.ensure(), range(8)))
    assert targets == {Target(f"unix:{place.socket}", place.log)}
    assert (place.socket.parent / "starts").read_text() == "start\n"
    assert place.socket.parent.stat().st_mode & 0o777 == 0o700
    assert place.state.stat().st_mode & 0o777 == 0o700
    assert resolve(None) == place.target


def test_one_that_died_is_replaced(place: embedded.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, SERVES)
    embedded.ensure()
    kill(int(place.pid_file.read_text()))
    assert place.socket.exists()
    embedded.ensure()
    assert (place.socket.parent / "starts").read_text() == "start\n" * 2


def test_who_reads_its_process_meanwhile_reads_a_whole_number(
    place: embedded.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, SERVES)
    embedded.ensure()
    with place.pid_file.open() as reading:
        first = int(place.pid_file.read_text())
        kill(first)
        embedded.ensure()
        assert int(reading.read()) == first
    assert int(place.pid_file.read_text()) != first
    assert not list(place.state.glob("*.new"))


def test_one_is_started_again_in_its_own_place(
    place: embedded.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, SERVES)
    target = embedded.ensure()
    assert embedded.Place.of(target) == place
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "another"))
    revive(target)
    assert (place.socket.parent / "starts").read_text() == "start\n"
    kill(int(place.pid_file.read_text()))
    revive(target)
    assert (place.socket.parent / "starts").read_text() == "start\n" * 2
    revive(Target("dns:localhost:1"))  # which is somebody else's to start
    assert not (tmp_path / "another").exists()


def test_one_that_cannot_start_says_why_and_nothing_else(
    place: embedded.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.state.mkdir(mode=0o700)
    place.log.write_text("what an earlier one wrote\n")
    run(monkeypatch, FAILS)
    with pytest.raises(Unavailable) as raised:
        embedded.ensure()
    assert str(raised.value) == "no engine: start dockerd"


def test_somebodys_own_controller_that_is_just_starting_is_used(
    place: embedded.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "import sys; sys.exit(4)")
    place.socket.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(place.socket))
        listening = threading.Timer(0.3, own.listen)
        listening.start()
        assert embedded.ensure() == place.target
        listening.join()


def test_a_folder_that_another_one_leaves_is_taken(
    place: embedded.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_RETRY_SECONDS", 0.05)
    run(monkeypatch, IN_USE + SERVES)
    assert embedded.ensure() == place.target
    assert (place.socket.parent / "starts").read_text() == "start\n"


def test_a_controller_that_serves_elsewhere_is_told_of(
    place: embedded.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(embedded, "_IN_USE_SECONDS", 0.2)
    run(monkeypatch, "import sys; sys.stderr.write('in use by process 1'); sys.exit(4)")
    with pytest.raises(Unavailable, match=r"in use by process 1\n.* does not serve at .*E2E_CONTROLLER"):
        embedded.ensure()


@pytest.mark.parametrize(
    "chosen", [{"DOCKER_HOST": "unix:///o.sock"}, {"DOCKER_CONTEXT": "o"}, {"E2E_ENGINE": "unix:///p.sock"}]
)
def test_each_engine_has_a_controller_of_its_own(
    chosen: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("E2E_STATE_DIR", "E2E_ENGINE", "DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    default = embedded.Place.default()
    assert default.state == tmp_path / "e2e"
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    other = embedded.Place.default()
    assert other.socket != default.socket
    assert other == embedded.Place.default()
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "given"))
    assert embedded.Place.default().state == tmp_path / "given"


def test_one_that_hangs_is_given_up(place: embedded.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def once_it_has_spoken(*arguments: Any) -> Any:
        until(lambda: place.log.stat().st_size > 0)
        return select.select(*arguments)

    run(monkeypatch, HANGS)
    monkeypatch.setattr(embedded, "_START_SECONDS", 0.5)
    monkeypatch.setattr(embedded, "select", SimpleNamespace(select=once_it_has_spoken))
    with pytest.raises(Unavailable, match=r"did not serve within 0\.5 s\nstill at it"):
        embedded.ensure()
    until(lambda: is_gone(int(place.pid_file.read_text())))


def test_it_outlives_its_parent(place: embedded.Place) -> None:
    """The parent ends without a warning, though its child still runs."""
    script = (
        "import sys; from e2e import embedded; "
        "embedded._command = lambda place, ready: "
        f"[sys.executable, '-c', {SERVES!r}, str(place.socket), str(ready)]; "
        "embedded.ensure()"
    )
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert embedded._serves(place.socket)


def test_a_directory_of_somebody_else_is_refused(
    place: embedded.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded.os, "getuid", lambda: 4321)
    with pytest.raises(Unavailable, match="is not a directory of this user"):
        embedded.ensure(place)


def test_a_place_that_is_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "file" / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # where the socket is, should that path be long
    with pytest.raises(Unavailable, match="no place for the embedded controller"):
        embedded.ensure()


def test_a_log_that_cannot_be_written_is_told(place: embedded.Place) -> None:
    place.state.mkdir(mode=0o700)
    place.log.mkdir()
    with pytest.raises(Unavailable, match=r"no embedded controller in .*Is a directory"):
        embedded.ensure(place)


def test_a_long_state_path_has_its_socket_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / ("x" * 120)))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    first = embedded.Place.default()
    assert len(str(first.socket)) < 100
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / ("y" * 120)))
    assert embedded.Place.default().socket != first.socket


@pytest.mark.parametrize("named", ["state", "sub/../state", "./state/"])
def test_a_relative_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("E2E_STATE_DIR", named)
    assert embedded.Place.default().state == tmp_path / "state"


def test_a_large_log_is_put_aside(place: embedded.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.state.mkdir(mode=0o700)
    place.log.write_text("x" * 100)
    monkeypatch.setattr(embedded, "_LARGEST_LOG", 99)
    run(monkeypatch, SERVES)
    embedded.ensure()
    assert place.log.with_suffix(".log.1").stat().st_size == 100
    assert place.log.stat().st_size == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/e2e.sock", "unix:/run/e2e.sock"),
        ("unix:/run/e2e.sock", "unix:/run/e2e.sock"),
        ("localhost:9000", "dns:localhost:9000"),
        ("[::1]:9000", "dns:[::1]:9000"),
    ],
)
def test_addresses_are_read(text: str, address: str) -> None:
    assert parse(text) == Target(address)
    assert not parse(text).embedded


@pytest.mark.parametrize(
    "text", ["unix://", "unix:relative", "unix:9000", "localhost", ":9000", "host:0", "host:x", "http://a:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"expected unix:///path/to\.sock, host:port or"):
        parse(text)
