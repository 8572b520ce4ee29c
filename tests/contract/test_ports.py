"""Ports published on loopback."""

import asyncio
import socket

import docker
import pytest

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import Key, PortSpec, PortTaken
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.drivers.docker.ports import PortChooser
from e2e_controller.drivers.fake import FakeDriver
from tests import free_ports
from tests.contract.bench import Bench, eventually

HTTP = {"http": PortSpec(8080)}


@pytest.fixture
def free_port() -> int:
    return free_ports.free_port()


async def test_a_chosen_port_is_known_at_once_and_stays(bench: Bench) -> None:
    container_id = await bench.create(ports=HTTP | {"udp": PortSpec(53, protocol="udp")})
    chosen = (await bench.look()).host_ports
    assert set(chosen) == {"8080/tcp", "53/udp"}
    assert all(20000 <= port < 32768 for port in chosen.values())
    for _ in range(2):
        await bench.driver.start_container(container_id)
        assert (await bench.look()).host_ports == chosen
        await bench.driver.stop(container_id, 0)
        assert (await bench.look()).host_ports == chosen
    await bench.restart()
    assert (await bench.look()).host_ports == chosen


async def test_a_container_takes_the_chosen_ports_of_the_one_before_where_they_are_free(bench: Bench) -> None:
    first = await bench.up(ports=HTTP)
    kept = (await bench.look()).host_ports
    await bench.driver.remove(first)
    await bench.up(ports=HTTP, kept_ports=kept)
    assert (await bench.look()).host_ports == kept
    await bench.up("other", ports=HTTP, kept_ports=kept)
    assert (await bench.look("other")).host_ports != kept


async def test_chosen_ports_differ(bench: Bench) -> None:
    await asyncio.gather(*(bench.create(f"web-{number}", ports=HTTP) for number in range(4)))
    ports = [(await bench.look(f"web-{number}")).host_ports["8080/tcp"] for number in range(4)]
    assert len(set(ports)) == 4


async def test_a_fixed_port(bench: Bench, free_port: int) -> None:
    await bench.up(ports={"http": PortSpec(8080, host_port=free_port)})
    assert (await bench.look()).host_ports == {"8080/tcp": free_port}


async def test_published_on_loopback_only(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    script = "mkdir /www; echo hello >/www/index.html; httpd -f -p 8080 -h /www"
    container_id = await docker_bench.up(command=("sh", "-c", script), ports=HTTP)
    port = (await docker_bench.look()).host_ports["8080/tcp"]

    async def fetch() -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
        except ConnectionError:
            return b""
        writer.close()
        return answer

    await eventually(fetch, lambda answer: b"hello" in answer)
    bindings = docker_client.inspect_container(container_id)["NetworkSettings"]["Ports"]["8080/tcp"]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]


async def test_a_fixed_port_that_another_container_has(bench: Bench, free_port: int) -> None:
    fixed = {"http": PortSpec(8080, host_port=free_port)}
    first = await bench.up("first", ports=fixed)
    second = await bench.create("second", ports=fixed)
    with pytest.raises(PortTaken, match=str(free_port)) as caught:
        await bench.driver.start_container(second)
    assert not caught.value.chosen
    assert caught.value.reason == Reason.PORT_TAKEN
    await bench.driver.stop(first, 0)
    await bench.look("first")  # which an engine allows once it has given the port back
    await bench.driver.start_container(second)
    assert (await bench.look("second")).phase == "running"


async def test_who_has_a_fixed_port_is_told(docker_bench: Bench, free_port: int) -> None:
    fixed = {"http": PortSpec(8080, host_port=free_port)}
    await docker_bench.up("first", ports=fixed)
    second = await docker_bench.create("second", ports=fixed)
    with pytest.raises(PortTaken) as caught:
        await docker_bench.driver.start_container(second)
    owner = f"Workload first of environment {docker_bench.environment}"
    name = f"container {docker_bench.environment}.first has port {free_port}"
    assert f"{name}; it belongs to {owner}" in str(caught.value)
    assert "take another hostPort" in str(caught.value)


async def test_who_has_a_fixed_port_is_not_told_across_environments(
    docker_bench: Bench, free_port: int
) -> None:
    fixed = {"http": PortSpec(8080, host_port=free_port)}
    await docker_bench.up("first", ports=fixed)
    discreet = DockerDriver("other", state_dir=docker_bench.state_dir, discreet=True)
    other = Key(f"{docker_bench.environment}-2", "Workload", "second")
    await discreet.ensure_network(other.environment)
    container_id = await discreet.create(other, docker_bench.spec(ports=fixed), "hash")
    try:
        with pytest.raises(PortTaken, match="outside of this environment has port") as caught:
            await discreet.start_container(container_id)
        assert f"{docker_bench.environment}.first" not in str(caught.value)
    finally:
        await discreet.remove(container_id)
        await discreet.remove_environment(other.environment)
        await discreet.close()


async def test_a_fixed_port_that_a_program_has(docker_bench: Bench, free_port: int) -> None:
    with socket.socket() as program:
        program.bind(("127.0.0.1", free_port))
        program.listen()
        container_id = await docker_bench.create(ports={"http": PortSpec(8080, host_port=free_port)})
        with pytest.raises(PortTaken, match=f"so another program does .*sport = :{free_port}"):
            await docker_bench.driver.start_container(container_id)


async def test_a_chosen_port_that_a_program_took_meanwhile(bench: Bench) -> None:
    container_id = await bench.create(ports=HTTP)
    port = (await bench.look()).host_ports["8080/tcp"]
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what was just there may linger
        if isinstance(bench.driver, FakeDriver):
            bench.driver.engine.taken_ports.add(port)
        else:
            thief.bind(("127.0.0.1", port))
            thief.listen()
        with pytest.raises(PortTaken, match=str(port)) as caught:
            await bench.driver.start_container(container_id)
        assert caught.value.chosen
        await bench.driver.remove(container_id)
        again = await bench.up(ports=HTTP)
    assert again != container_id
    assert (await bench.look()).host_ports["8080/tcp"] != port


async def test_the_port_of_a_stopped_container_is_not_chosen_again(docker_bench: Bench) -> None:
    """Not even by a driver that never saw it created: what it inspected it remembers."""
    container_id = await docker_bench.up("first", ports=HTTP)
    await docker_bench.driver.stop(container_id, 0)
    port = (await docker_bench.look("first")).host_ports["8080/tcp"]
    narrow = PortChooser(range(port, port + 1))
    again = DockerDriver(docker_bench.controller_id, state_dir=docker_bench.state_dir, ports=narrow)
    try:
        await again.start()
        await again.inspect(docker_bench.key("first"))
        with pytest.raises(PortTaken, match="no port from"):
            await again.create(docker_bench.key("second"), docker_bench.spec(ports=HTTP), "hash")
    finally:
        await again.close()
