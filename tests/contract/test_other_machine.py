"""An engine on another machine, over TLS and by ssh: what the driver does, and says when it cannot."""

import asyncio
import os
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from e2e_controller.drivers.base import (
    ContainerSpec,
    DriverError,
    EngineUnavailable,
    FileContent,
    Key,
    Mount,
    PortSpec,
    SpecRefused,
)
from e2e_controller.drivers.docker import DockerDriver, sockets, tunnel
from tests.contract.bench import IMAGE, MakeDriver, eventually, finish
from tests.other_machine import OtherMachine

KEY = Key("far", "Workload", "web")
SPEC = ContainerSpec(
    IMAGE,
    command=("httpd", "-f", "-p", "8080", "-h", "/www"),
    ports={"http": PortSpec(8080)},
    files=(FileContent("/www/index.html", b"hello"),),
)


@asynccontextmanager
async def workload_on(driver: DockerDriver) -> AsyncIterator[str]:
    """The container's id; at the end nothing is left of it."""
    await driver.ensure_network(KEY.environment)
    container_id = await driver.create(KEY, SPEC, "hash")
    try:
        yield container_id
    finally:
        await driver.remove(container_id)
        await driver.remove_environment(KEY.environment)
    assert not await driver.list_containers()


async def answer_of(driver: DockerDriver) -> bytes:
    """What the workload's published port answers, asked from here."""
    found = await driver.inspect(KEY)
    assert found is not None
    address = f"http://{found.host_address}:{found.host_ports['8080/tcp']}/index.html"

    def ask() -> bytes:
        with urllib.request.urlopen(address, timeout=30) as response:
            return bytes(response.read())

    return await asyncio.to_thread(ask)


async def answers(driver: DockerDriver) -> bytes:
    """The same; nothing where there is no way to it just now."""
    try:
        return await answer_of(driver)
    except (OSError, DriverError):
        return b""


async def test_a_life(url: str, make_driver: MakeDriver, machine: OtherMachine) -> None:
    driver = make_driver(url, call_timeout=30)
    await driver.start()
    info = await driver.info()
    assert (info.is_remote, info.local_files, info.containers_reachable) == (True, False, False)
    events = aiter(driver.events())
    assert (await anext(events)).action == "connected"
    async with workload_on(driver) as container_id:
        assert (await anext(events)).key == KEY
        await driver.start_container(container_id)
        assert await eventually(lambda: answers(driver), bool) == b"hello"
        found = await driver.inspect(KEY)
        assert found is not None
        assert found.host_address == (machine.address if url.startswith("tcp") else "127.0.0.1")
        session = await driver.exec(container_id, ["sh", "-c", "cat; exit 7"], stdin=True)
        block = bytes(range(256)) * 4096
        await session.write(block)
        await session.close_stdin()
        assert await finish(session) == (block, b"", 7)
        await driver.put_files(container_id, [FileContent("/www/index.html", b"again")])
        assert await answer_of(driver) == b"again"
        assert [piece.data async for piece in driver.logs(container_id)] == []
        await driver.stop(container_id, 0)
    await events.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("address", "reached"), [("0.0.0.0", True), ("127.0.0.1", False), ("192.0.2.1", None)]
)
async def test_ports_bind_where_it_is_asked_for(
    machine: OtherMachine,
    make_driver: MakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    reached: bool | None,
) -> None:
    """On all addresses, on one that is not reached from here, and on one that the machine has not."""
    make_driver()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(machine.base))
    driver = DockerDriver("nobody", engine=machine.tcp, state_dir=machine.base, publish_address=address)
    try:
        async with workload_on(driver) as container_id:
            if reached is None:
                with pytest.raises(SpecRefused, match="--publish-address has to be an address of the engine"):
                    await driver.start_container(container_id)
                return
            await driver.start_container(container_id)
            found = await driver.inspect(KEY)
            assert found is not None
            assert found.host_address == (machine.address if reached else "")
            if reached:
                assert await eventually(lambda: answers(driver), bool) == b"hello"
    finally:
        await driver.close()


async def test_many_at_once(url: str, make_driver: MakeDriver) -> None:
    """Servers of ssh refuse many log-ins at once; ours would refuse the fourth."""
    driver = make_driver(url, call_timeout=30)
    async with workload_on(driver) as container_id:
        await driver.start_container(container_id)
        commands = [["echo", str(number)] for number in range(20)]
        sessions = await asyncio.gather(*(driver.exec(container_id, command) for command in commands))
        outputs = await asyncio.gather(*map(finish, sessions))
        assert [output for output, _, _ in outputs] == [b"%d\n" % number for number in range(20)]


async def test_host_paths_are_refused(url: str, make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = make_driver(url, call_timeout=30)
    await driver.start()
    spec = ContainerSpec(IMAGE, mounts=(Mount(str(tmp_path), "/x", is_host_path=True),))
    with pytest.raises(SpecRefused, match=r"is on another machine.*give the content in `files`") as caught:
        await driver.create(KEY, spec, "hash")
    assert caught.value.reason == "MountFailed"


async def test_what_is_not_ours_to_remove_there_stays(
    url: str, make_driver: MakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container of root's would remove the directory of that name on the other machine."""
    driver = make_driver(url, call_timeout=30)
    await driver.start()

    def refuse(_tree: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("e2e_controller.drivers.docker.trees._remove", refuse)
    (tmp_path / "tree").mkdir()
    with pytest.raises(Exception, match="sudo rm -rf"):
        await driver.remove_tree(str(tmp_path / "tree"))
    assert (tmp_path / "tree").exists()


async def test_a_machine_that_vanishes_is_missed(
    url: str, make_driver: MakeDriver, machine: OtherMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody says good-bye: the cable is pulled. Later it is put in again."""
    monkeypatch.setattr(sockets, "_KEEPALIVE", {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 1})
    quick = {"ServerAliveInterval": "1", "ServerAliveCountMax": "5"}
    monkeypatch.setattr(tunnel, "_OPTIONS", {**tunnel._OPTIONS, **quick})
    driver = make_driver(url, call_timeout=15)
    events = aiter(driver.events())
    assert (await anext(events)).action == "connected"
    set_cable(machine, "down")
    try:
        async with asyncio.timeout(60):
            assert (await anext(events)).action == "disconnected"
        with pytest.raises(
            EngineUnavailable, match=r"did not answer|does not reach|broke|No route|did not connect"
        ):
            await driver.inspect(KEY)
    finally:
        set_cable(machine, "up")
    async with asyncio.timeout(60):
        while (await anext(events)).action != "reconnected":
            pass
    assert await driver.inspect(KEY) is None
    await events.aclose()  # type: ignore[attr-defined]


async def test_its_end_waits_for_no_good_bye(
    url: str, make_driver: MakeDriver, machine: OtherMachine
) -> None:
    """Connections of streams, ended while the machine is away, are closed with the driver."""
    before = open_sockets()
    driver = make_driver(url, call_timeout=30)
    events = aiter(driver.events())
    assert (await anext(events)).action == "connected"
    made = open_sockets() - before
    assert made
    set_cable(machine, "down")
    try:
        await events.aclose()  # type: ignore[attr-defined]
        await driver.close()
        # Some close in the loop's next turns. Nobody says good-bye however long one waits.
        await eventually(lambda: asyncio.sleep(0, open_sockets() & made), lambda left: not left)
    finally:
        set_cable(machine, "up")


def open_sockets() -> set[str]:
    """Of this process."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(entry.readlink()))
    return {target for target in found if target.startswith("socket:")}


def set_cable(machine: OtherMachine, state: str) -> None:
    subprocess.run([*machine.enter, "ip", "link", "set", "cable", state], check=True)


async def test_an_ssh_that_is_killed_comes_back(
    ssh_folder: Path, machine: OtherMachine, make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{ssh_folder}:{os.environ['PATH']}")
    driver = make_driver(machine.ssh, call_timeout=30)
    async with workload_on(driver) as container_id:
        await driver.start_container(container_id)
        await eventually(lambda: answers(driver), bool)
        (process,) = ssh_processes(machine)
        os.kill(process, 9)
        await eventually(lambda: answers(driver), bool)
        (another,) = ssh_processes(machine)
        assert another != process
    await driver.close()
    assert not ssh_processes(machine)


def ssh_processes(machine: OtherMachine) -> list[int]:
    """Of clients that this test's own `ssh` became."""
    wanted = f"{machine.base}/ssh_config".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in words and b"-M" in words:
            found.append(int(entry.name))
    return found


async def test_ports_that_nobody_has_any_more_are_given_back(
    ssh_folder: Path, machine: OtherMachine, make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{ssh_folder}:{os.environ['PATH']}")
    driver = make_driver(machine.ssh, call_timeout=30)
    async with workload_on(driver) as container_id:
        await driver.start_container(container_id)
        await eventually(lambda: answers(driver), bool)
        found = await driver.inspect(KEY)
        assert found is not None
    port = found.host_ports["8080/tcp"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
