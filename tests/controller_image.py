"""The controller's image of this checkout, and containers of it, as a user runs them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from tests.engine import docker_client

BUILT = "E2E_TEST_IMAGE"
"""Names the image that is built of this content already."""
ROOT = Path(__file__).resolve().parents[1]
SOCKET = Path("/var/run/docker.sock")
SECONDS_TO_BUILD = 900
SECONDS = 240
"""Longest time for anything that such a container does."""
_SECOND = 10**9
EVERY_SECOND = {"interval": _SECOND, "timeout": 30 * _SECOND}
"""A health check that tests need not wait for."""


@cache
def controller_image() -> str:
    """Its tag, which names the content; built where it is not there, and nobody else has done it."""
    if built := os.environ.get(BUILT):
        return built
    command = [sys.executable, str(ROOT / "tools" / "image.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_BUILD)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@contextmanager
def controller_container(name: str, *arguments: str, **options: Any) -> Iterator[Container]:
    """Started with the engine's socket and as little else as it needs; `options` are docker-py's, over that.

    It is removed at the end, with its anonymous volumes; what the controller made stays.
    """
    given = {
        "volumes": {str(SOCKET): {"bind": str(SOCKET)}, **options.pop("volumes", {})},
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "group_add": [SOCKET.stat().st_gid],
        **options,
    }
    with docker_client() as engine:
        container = engine.containers.run(
            controller_image(), list(arguments), name=name, detach=True, **given
        )
        try:
            yield container
        finally:
            container.remove(force=True, v=True)


def until(holds: Callable[[], bool], container: Container) -> None:
    """Waits for it; where that takes too long, fails with the container's log."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.1)


def health(container: Container) -> str:
    """What the engine knows from the image's health check."""
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


def ends_with(container: Container) -> tuple[int, str]:
    """Waits for its end: exit code and log."""
    return container.wait(timeout=SECONDS)["StatusCode"], container.logs().decode()
