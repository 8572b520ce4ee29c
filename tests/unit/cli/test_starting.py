"""Commands that meet a controller which is just starting."""

import fcntl
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import embedded
from e2e.cli import starting

from .conftest import RunE2E
from .fake import CliController


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("E2E_CONFIG", raising=False)
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        monkeypatch.setenv("E2E_STATE_DIR", f"{directory}/state")
        yield Path(directory, "state")


def test_who_needs_a_controller_waits_for_the_one_that_is_starting(state: Path) -> None:
    """It starts none of its own, though the other does not serve yet."""
    (option,) = starting.claim_start(["--folder", "manifests"])
    descriptor = int(option.removeprefix("--ready-fd="))
    assert os.get_inheritable(descriptor)
    assert starting.claim_start([]) == []
    found: list[str] = []
    waiting = threading.Thread(target=lambda: found.append(embedded.ensure().address))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(state / "controller.sock"))
        server.listen()
        os.write(descriptor, b"ready\n")
        os.close(descriptor)
        waiting.join(30)
    assert found == [f"unix:{state}/controller.sock"]
    assert not (state / "embedded.pid").exists()


@pytest.mark.parametrize("option", ["--state-dir=/elsewhere", "--engine", "--config", "-h", "--ready-fd=7"])
def test_a_controller_of_elsewhere_claims_nothing(state: Path, option: str) -> None:
    assert starting.claim_start(["--folder", "a", option]) == []
    assert not state.exists()


def test_while_an_embedded_one_is_started_nothing_is_claimed(state: Path) -> None:
    state.mkdir()
    with (state / "embedded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert starting.claim_start([]) == []
    (option,) = starting.claim_start([])
    os.close(int(option.removeprefix("--ready-fd=")))


def test_a_folder_that_cannot_be_is_the_controllers_to_tell(state: Path) -> None:
    state.write_text("a file")
    assert starting.claim_start([]) == []


def test_a_named_one_that_is_about_to_listen_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, e2e: RunE2E
) -> None:
    monkeypatch.setattr(starting, "STARTING_SECONDS", 60)
    fake = CliController(tmp_path / "shared")  # type: ignore[abstract]
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:
        path = Path(directory, "s")
        late = threading.Timer(0.5, fake.start, [path])
        late.start()
        monkeypatch.setenv("E2E_CONTROLLER", f"unix://{path}")
        code, _, err = e2e("get")
        late.join()
        fake.stop()
    assert (code, err) == (0, "nothing is there\n")


def test_one_that_never_listens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "STARTING_SECONDS", 0.2)
    began = time.monotonic()
    starting.wait_serving("unix:/nowhere/s")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        starting.wait_serving(f"dns:127.0.0.1:{port}")
        assert time.monotonic() - began >= 0.4
        server.listen()
        monkeypatch.setattr(starting, "STARTING_SECONDS", 60)
        starting.wait_serving(f"dns:127.0.0.1:{port}")
