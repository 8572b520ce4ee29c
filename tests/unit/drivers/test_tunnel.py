"""What ssh says, and what it leaves."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e_controller.drivers.docker.ssh_words import explain, refused_channel
from e2e_controller.drivers.docker.tunnel import sweep

SOCKET = "/var/run/docker.sock"
REFUSED = "channel 2: open failed: connect failed: open failed"


@pytest.mark.parametrize(
    ("said", "cause", "remedy"),
    [
        ("Host key verification failed.", "does not trust", "known_hosts"),
        (
            "No ED25519 host key is known for [h]:22 and you have requested strict checking.\n"
            "Host key verification failed.",
            "does not trust",
            "known_hosts",
        ),
        (
            "Warning: Permanently added 'h'\nme@h: Permission denied (publickey).",
            "may not log in",
            "BatchMode",
        ),
        ("ssh: Could not resolve hostname h: Name or service not known", "does not know", "DOCKER_HOST"),
        ("ssh: connect to host h port 22: Connection refused", "does not reach", "serves ssh"),
        ("Timeout, server h not responding.", "does not reach", "serves ssh"),
        (REFUSED, f"nothing answers at {SOCKET}", "start the engine there"),
        (
            "channel 2: open failed: administratively prohibited: open failed",
            "may not forward",
            "AllowStreamLocalForwarding",
        ),
        ("something new", "ssh failed: something new", "by hand"),
        ("", "", ""),
    ],
)
def test_what_ssh_says(said: str, cause: str, remedy: str) -> None:
    told, helps = explain(said, SOCKET)
    assert cause in told
    assert remedy in helps
    assert bool(told) is bool(said)


def test_only_what_is_about_a_channel_explains_a_call() -> None:
    assert refused_channel("debug: all is well", SOCKET) is None
    found = refused_channel(f"Warning: x\n{REFUSED}", SOCKET)
    assert found is not None
    assert SOCKET in found[0]


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short name: a socket's path is."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as name:
        yield Path(name)


def test_what_killed_controllers_left_is_swept(folder: Path) -> None:
    names = ("e2e-ssh-dead", "e2e-ssh-new", "e2e-ssh-served", "other")
    for name in names:
        (folder / name).mkdir()
    (folder / "e2e-ssh-link").symlink_to(folder / "other")
    with socket.socket(socket.AF_UNIX) as serving:
        serving.bind(str(folder / "e2e-ssh-served" / "engine"))
        serving.listen()
        for name in ("e2e-ssh-dead", "e2e-ssh-served", "other"):
            os.utime(folder / name, (0, 0))
        sweep(folder)
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["e2e-ssh-link", "e2e-ssh-new", "e2e-ssh-served", "other"]
