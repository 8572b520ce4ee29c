"""What stands at the path of a Unix socket is not taken from anybody."""

# ruff: noqa: ASYNC240 - a test may wait for its own folder

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from e2e_controller.manager import Manager
from e2e_controller.settings import Settings
from e2e_controller.starting import StartError

from .conftest import Harness, document


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        yield Path(directory, "deep", "s")


async def start_another(harness: Harness, path: Path) -> None:
    settings = Settings(state_dir=harness.state.with_name("other"), listen=[f"unix://{path}"])
    await Manager(settings, make_driver=lambda *_: harness.driver).run()


async def answers(path: Path) -> bool:
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answer = await check(health_pb2.HealthCheckRequest(), timeout=60)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_a_file_is_not_deleted(harness: Harness, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(StartError, match=f"{path} is there already and no socket; remove it"):
        await start_another(harness, path)
    assert path.read_text() == "precious"
    assert [path] == list(path.parent.iterdir())


async def test_a_link_is_not_deleted(harness: Harness, path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("nowhere")
    with pytest.raises(StartError, match="no socket"):
        await start_another(harness, path)
    assert path.is_symlink()


async def test_a_socket_that_serves_is_not_taken(harness: Harness, path: Path) -> None:
    async with harness.running(listen=[f"unix://{path}"]):
        with pytest.raises(StartError, match="another process serves there; stop it, or give another path"):
            await start_another(harness, path)
        assert await answers(path)


async def test_a_socket_that_hangs_is_not_taken(harness: Harness, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(path))
        server.listen(0)
        client.connect(str(path))  # the queue is full, and nobody takes from it
        with pytest.raises(StartError, match="somebody's socket is there"):
            await start_another(harness, path)
    assert path.is_socket()


async def test_a_socket_that_nobody_serves_is_replaced(harness: Harness, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with harness.running(listen=[f"unix://{path}"]):
        assert await answers(path)
        assert path.stat().st_mode & 0o777 == 0o600
    assert not list(path.parent.iterdir())


async def test_what_stands_there_at_the_end_is_left_to_its_owner(harness: Harness, path: Path) -> None:
    async with harness.running(listen=[f"unix://{path}"]):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.is_socket()


async def test_two_paths_in_one_folder(harness: Harness, path: Path) -> None:
    paths = [path.with_name("first.sock"), path.with_name("second.sock")]
    async with harness.running(listen=[f"unix://{path}" for path in paths]):
        assert await answers(paths[0])
        assert await answers(paths[1])
    assert not list(path.parent.iterdir())


async def test_nothing_is_left_where_another_address_cannot_be_had(harness: Harness, path: Path) -> None:
    other = path.with_name("other")
    path.parent.mkdir()
    other.write_text("")
    settings = Settings(state_dir=harness.state, listen=[f"unix://{path}", f"unix://{other}"])
    with pytest.raises(StartError, match="no socket"):
        await Manager(settings, make_driver=lambda *_: harness.driver).run()
    assert [other] == list(path.parent.iterdir())


async def test_it_serves_though_whoever_started_it_is_gone(harness: Harness) -> None:
    receive, ready = os.pipe()
    os.close(receive)
    async with harness.running(ready_fd=ready) as client:
        await client.apply(document())


async def test_a_path_too_long_for_a_socket_is_named(harness: Harness, path: Path) -> None:
    with pytest.raises(StartError, match="is too long for a socket; give a shorter path"):
        await start_another(harness, path / ("x" * 100))
