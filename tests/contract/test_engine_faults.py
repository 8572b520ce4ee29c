"""Engines that misbehave, go away and come back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from e2e_controller.drivers.base import (
    ContainerEvent,
    DriverError,
    EngineUnavailable,
    Key,
    Output,
)
from e2e_controller.drivers.docker import DockerDriver
from tests.contract import proxies, scripts
from tests.contract.bench import IMAGE, LIMIT, LONG, SHORT, Bench, MakeDriver, eventually, finish

KEY = Key("env", "Workload", "web")


VERSION = b'{"ApiVersion": "1.41", "Version": "20.10"}'
HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def calls(driver: DockerDriver) -> dict[str, Callable[[], Awaitable[object]]]:
    async def read_logs() -> object:
        return [piece async for piece in driver.logs("id", follow=True)]

    async def copy_out() -> object:
        return [piece async for piece in driver.copy_out("id", "/")]

    return {
        "info": driver.info,
        "inspect": lambda: driver.inspect(KEY),
        "list_containers": driver.list_containers,
        "list_environments": driver.list_environments,
        "ensure_network": lambda: driver.ensure_network("env"),
        "remove_environment": lambda: driver.remove_environment("env"),
        "image_present": lambda: driver.image_present(IMAGE),
        "start_container": lambda: driver.start_container("id"),
        "stop": lambda: driver.stop("id", 0),
        "kill": lambda: driver.kill("id"),
        "pause": lambda: driver.pause("id"),
        "remove": lambda: driver.remove("id"),
        "exec": lambda: driver.exec("id", ["true"]),
        "logs": read_logs,
        "copy_out": copy_out,
    }


class Switch:
    """An engine that answers well at first, and then as it is told."""

    def __init__(self) -> None:
        self.then: proxies.Serve | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        good = HEAD % (b"200 OK", len(VERSION)) + VERSION
        await (self.then or proxies.answer(good))(reader, writer)


async def started(driver: DockerDriver) -> DockerDriver:
    """Whose time-outs are so short that a busy machine may need several starts."""
    for _ in range(10):
        with suppress(EngineUnavailable):
            await driver.start()
            return driver
    raise AssertionError("it does not start")


async def test_an_engine_that_hangs_from_the_start(make_driver: MakeDriver, tmp_path: Path) -> None:
    async with proxies.unix_server(tmp_path / "engine.sock", proxies.hang) as url:
        driver = make_driver(url)
        began = time.monotonic()
        with pytest.raises(EngineUnavailable, match=r"did not answer within 0\.5 s"):
            await driver.start()
        assert time.monotonic() - began < LIMIT
        await driver.close()


BAD_ANSWERS = {
    "hangs": proxies.hang,
    "speaks no HTTP": proxies.answer(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
    "sends HTML": proxies.answer(HEAD % (b"200 OK", 13) + b"<html></html>"),
    "says 500": proxies.answer(HEAD % (b"500 Internal Server Error", 23) + b'{"message": "it broke"}'),
    "says 500 without JSON": proxies.answer(HEAD % (b"502 Bad Gateway", 4) + b"oops"),
    "hangs up": proxies.answer(b""),
    "hangs up in its header": proxies.answer(b"HTTP/1.1 200 OK\r\nContent-"),
    "hangs up in its answer": proxies.answer(HEAD % (b"200 OK", 1000) + b'{"Id": '),
    "has an endless header": proxies.answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20),
}
CHANGES = {"start_container", "kill", "pause", "remove"}
TOLERABLE = {
    "sends HTML": CHANGES | {"stop", "logs", "copy_out"},
    "hangs up in its header": CHANGES,
    "hangs up in its answer": CHANGES | {"stop"},
}
"""Calls of which only the answer's status counts, and that was good."""


@pytest.mark.parametrize("fault", BAD_ANSWERS)
async def test_an_engine_that_goes_wrong(make_driver: MakeDriver, tmp_path: Path, fault: str) -> None:
    """Each call ends in time, with an error of the driver's that says what happened."""
    switch = Switch()
    async with proxies.unix_server(tmp_path / "engine.sock", switch.serve) as url:
        driver = await started(make_driver(url, SHORT if fault == "hangs" else LONG))
        switch.then = BAD_ANSWERS[fault]
        for name, call in calls(driver).items():
            began = time.monotonic()
            result = (await asyncio.gather(call(), return_exceptions=True))[0]
            assert time.monotonic() - began < LIMIT, name
            if name in TOLERABLE.get(fault, ()) and not isinstance(result, Exception):
                continue
            assert isinstance(result, DriverError), (name, result)
            if "500" in fault:
                assert "it broke" in str(result) or "oops" in str(result), name
            else:
                assert isinstance(result, EngineUnavailable), (name, result)
                assert "engine.sock" in str(result)
        await driver.close()


async def test_many_calls_to_a_hung_engine_all_end(make_driver: MakeDriver, tmp_path: Path) -> None:
    """More than there are threads: their time counts from when they have one."""
    switch = Switch()
    async with proxies.unix_server(tmp_path / "engine.sock", switch.serve) as url:
        driver = await started(make_driver(url))
        switch.then = proxies.hang
        results = await asyncio.gather(*(driver.inspect(KEY) for _ in range(40)), return_exceptions=True)
        assert all(isinstance(result, EngineUnavailable) for result in results)
        switch.then = None
        with pytest.raises(DriverError):
            await driver.inspect(KEY)  # a version is no container, but it is an answer


async def test_no_engine_at_first(
    docker_client: docker.APIClient, make_driver: MakeDriver, tmp_path: Path
) -> None:
    """A driver whose start failed works once the engine is there."""
    driver, proxy = make_driver(f"unix://{tmp_path}/engine.sock", call_timeout=30), proxies.Proxy()
    with pytest.raises(EngineUnavailable):
        await driver.start()
    async with proxies.unix_server(tmp_path / "engine.sock", proxy.serve):
        assert await driver.inspect(KEY) is None
        await driver.close()
        proxy.cut()


async def test_events_come_back(docker_client: docker.APIClient, docker_bench: Bench, tmp_path: Path) -> None:
    """After the engine was away; and then it is said that something may have been missed."""
    proxy, socket = proxies.Proxy(), tmp_path / "engine.sock"
    driver = DockerDriver(docker_bench.controller_id, engine=f"unix://{socket}", state_dir=tmp_path)
    seen: list[ContainerEvent] = []

    async def follow() -> None:
        async for event in driver.events():
            if event != lost or seen[-1] != lost:  # told again with each attempt that fails
                seen.append(event)

    lost = ContainerEvent(None, "disconnected")
    following = asyncio.create_task(follow())
    try:
        async with proxies.unix_server(socket, proxy.serve):
            await eventually(lambda: later(seen), lambda found: found == [ContainerEvent(None, "connected")])
            proxy.cut()
            await eventually(
                lambda: later(seen), lambda found: found[1:] == [lost, ContainerEvent(None, "reconnected")]
            )
        proxy.cut()
        socket.unlink(missing_ok=True)
        await docker_bench.create()
        async with proxies.unix_server(socket, proxy.serve):
            await eventually(lambda: later(seen), lambda found: len(found) >= 5)
            assert seen[3:5] == [lost, ContainerEvent(None, "reconnected")]
            await docker_bench.create("second")
            await eventually(lambda: later(seen), lambda found: len(found) >= 6)
            assert seen[5] == ContainerEvent(docker_bench.key("second"), "create")
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await driver.close()
            proxy.cut()
    finally:
        following.cancel()
        await driver.close()


async def test_calls_work_again_after_a_break(docker_client: docker.APIClient, tmp_path: Path) -> None:
    """Connections that were kept open are not used blindly."""
    proxy, calls = proxies.Proxy(), []
    driver = DockerDriver(
        "nobody",
        engine=f"unix://{tmp_path}/engine.sock",
        state_dir=tmp_path,
        observe=lambda name, seconds, answered: calls.append((name, seconds < 60, answered)),
    )
    async with proxies.unix_server(tmp_path / "engine.sock", proxy.serve):
        for _ in range(3):
            assert await driver.inspect(KEY) is None
            assert list(await driver.list_environments()) == []
            proxy.cut()
            await eventually(lambda: asyncio.sleep(0, proxy.open), lambda count: count == 0)
        await driver.close()
        proxy.cut()
    assert calls[0] == ("connect", True, True)
    expected = ("inspect", "list_images", "list_networks", "list_volumes")
    assert set(calls[1:]) == {(name, True, True) for name in expected}


async def later(seen: list[ContainerEvent]) -> list[ContainerEvent]:
    return list(seen)


async def test_logs_and_exec_whose_connection_breaks(docker_bench: Bench, tmp_path: Path) -> None:
    container_id = await docker_bench.up()
    proxy = proxies.Proxy()
    driver = DockerDriver(docker_bench.controller_id, engine=f"unix://{tmp_path}/e.sock", state_dir=tmp_path)
    async with proxies.unix_server(tmp_path / "e.sock", proxy.serve):
        session = await driver.exec(container_id, ["sleep", "1000"])
        ending = asyncio.create_task(finish(session))
        await driver.inspect(docker_bench.key())
        proxy.cut()
        with pytest.raises(TimeoutError):  # the command runs on, and so its exit code is waited for
            await asyncio.wait_for(ending, SHORT)

        talking = await docker_bench.up("talking", command=scripts.TRAP.command)
        logs = aiter(driver.logs(talking, follow=True))
        assert await anext(logs) == Output("stdout", b"ready\n")
        proxy.cut()
        with pytest.raises(EngineUnavailable, match="logs"):
            await asyncio.wait_for(anext(logs), LIMIT)
        await driver.close()
        proxy.cut()
