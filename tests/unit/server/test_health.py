"""What a container's health check is told."""

# ruff: noqa: ASYNC240 - a test may wait for its own folder

import asyncio
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from e2e_controller import health
from e2e_controller.server.health_socket import HealthSocket
from e2e_controller.server.unix_socket import ListenError

from .conftest import Harness


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        yield Path(directory, "h")


async def check(path: Path | None) -> tuple[int, str]:
    """Exit code and output of the check, as the engine runs it."""
    variables = {"E2E_HEALTH_SOCKET": str(path)} if path else {}
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", health.__name__, stdout=asyncio.subprocess.PIPE, env=variables
        )
        said, _ = await process.communicate()
        if b"timed out" not in said:  # as where this machine stops meanwhile
            return process.returncode or 0, said.decode()


async def test_a_controller_that_serves_is_well(harness: Harness, path: Path) -> None:
    async with harness.running(health_socket=path):
        assert await check(path) == (0, "ok\n")
        assert path.stat().st_mode & 0o777 == 0o600
    code, said = await check(path)
    assert (code, path.exists()) == (1, False)
    assert said.startswith(f"no answer at {path}: ")


async def test_it_says_why_it_is_not_well(path: Path) -> None:
    trouble = "the engine does not answer"
    server = HealthSocket(lambda: trouble)
    await server.start(path)
    assert await check(path) == (1, "the engine does not answer\n")
    trouble = ""
    assert await check(path) == (0, "ok\n")
    await server.stop()


async def test_a_controller_that_hangs_is_not_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    monkeypatch.setenv("E2E_HEALTH_SOCKET", str(path))
    with socket.socket(socket.AF_UNIX) as listener:  # the kernel takes the connection, and nobody answers
        listener.bind(str(path))
        listener.listen()
        assert await asyncio.to_thread(health.main) == 1


async def test_without_a_socket_there_is_no_health() -> None:
    code, said = await check(None)
    assert code == 1
    assert "E2E_HEALTH_SOCKET, which names no socket" in said


async def test_what_stands_there_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(ListenError, match="no socket"):
        await HealthSocket(str).start(path)
    assert path.read_text() == "precious"
