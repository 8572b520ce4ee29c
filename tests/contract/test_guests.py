"""Containers that are not ours, and that we take into networks of environments: callers', and our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest

from e2e_controller.drivers.base import ContainerGone, Guest, SpecRefused
from e2e_controller.drivers.docker import DockerDriver, containers
from e2e_controller.drivers.docker.guests import Guests
from e2e_controller.drivers.fake import FakeDriver
from e2e_controller.own_container import OwnHints
from tests.contract.bench import IMAGE, Bench, eventually


@contextmanager
def foreign(client: docker.APIClient, bench: Bench, name: str = "guest", **config: Any) -> Iterator[str]:
    """A container that nobody of ours has made; its id."""
    made = client.create_container(
        IMAGE,
        ["sleep", "1000"],
        name=f"{bench.environment}-{name}",
        host_config=client.create_host_config(**config),
    )
    try:
        client.start(made["Id"])
        yield made["Id"]
    finally:
        client.remove_container(made["Id"], force=True)


@pytest.fixture
def guest(bench: Bench, request: pytest.FixtureRequest) -> Iterator[str]:
    """The id of one, on each driver."""
    if isinstance(bench.driver, FakeDriver):
        made = Guest("c" * 64, "guest", frozenset({"172.17.0.9"}), network_of="c" * 64)
        bench.driver.engine.guests[made.id] = made
        yield made.id
        return
    with foreign(request.getfixturevalue("docker_client"), bench) as container_id:
        yield container_id


async def test_is_found_by_its_id_and_by_its_address(bench: Bench, guest: str) -> None:
    found = await bench.driver.find_guest(["0" * 64, guest])
    assert found is not None
    assert (found.id, found.network_of, found.on_host_network) == (guest, guest, False)
    assert found.addresses  # one, or one of each kind where the engine gives IPv6, too
    assert await bench.driver.find_guest([guest[:12]]) == found
    for address in found.addresses:
        assert await bench.driver.find_guest(["0" * 64], address) == found
    assert await bench.driver.find_guest(["0" * 64], "192.0.2.1") is None
    assert await bench.driver.find_guest([]) is None


async def test_is_taken_in_once_and_the_network_can_be_removed_with_it(bench: Bench, guest: str) -> None:
    await bench.driver.ensure_network(bench.environment)
    for _ in range(2):
        await bench.driver.admit(bench.environment, guest)
    await bench.restart()  # a controller that was killed knows nothing of it
    await bench.driver.remove_environment(bench.environment)
    assert await bench.driver.inspect_network(bench.environment) is None
    assert await bench.driver.find_guest([guest]) is not None


async def test_leaves_and_may_leave_twice(bench: Bench, guest: str) -> None:
    await bench.driver.dismiss(bench.environment, guest)
    await bench.driver.ensure_network(bench.environment)
    await bench.driver.admit(bench.environment, guest)
    for _ in range(2):
        await bench.driver.dismiss(bench.environment, guest)


async def test_what_is_not_there(bench: Bench, guest: str) -> None:
    with pytest.raises(ContainerGone):
        await bench.driver.admit(bench.environment, guest)
    await bench.driver.ensure_network(bench.environment)
    with pytest.raises(ContainerGone):
        await bench.driver.admit(bench.environment, "0" * 64)


async def test_reaches_workloads_by_name(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    with foreign(docker_client, docker_bench) as guest:
        await docker_bench.up("server", command=("httpd", "-f", "-p", "80", "-h", "/etc"))
        await docker_bench.driver.admit(docker_bench.environment, guest)

        async def fetch() -> bytes:
            command = ["wget", "-q", "-O-", "http://server/hostname"]
            started = docker_client.exec_create(guest, command, stderr=False)["Id"]
            return bytes(docker_client.exec_start(started))

        assert await eventually(fetch, bool) == b"server\n"  # it may not listen yet


async def test_what_is_stopped_meanwhile_can_be_started_again(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    """An engine does not start a container that knows a network that is gone."""
    with foreign(docker_client, docker_bench) as guest:
        await docker_bench.driver.ensure_network(docker_bench.environment)
        await docker_bench.driver.admit(docker_bench.environment, guest)
        docker_client.kill(guest)
        await docker_bench.driver.remove_environment(docker_bench.environment)
        docker_client.start(guest)


async def test_garbage_is_not_held_by_a_guest(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    """Whoever removes what a dead controller left."""
    with foreign(docker_client, docker_bench) as guest:
        await docker_bench.driver.ensure_network(docker_bench.environment)
        await docker_bench.driver.admit(docker_bench.environment, guest)
        inventory = (await docker_bench.other()).inventory
        (network,) = [
            it for it in await inventory.list_things() if it.environment == docker_bench.environment
        ]
        await inventory.remove_thing(network)
    assert docker_client.networks(names=[containers.network_name(docker_bench.environment)]) == []


async def test_one_that_can_be_in_no_other_network(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    await docker_bench.driver.ensure_network(docker_bench.environment)
    with foreign(docker_client, docker_bench) as first:
        sharing = foreign(docker_client, docker_bench, "sharing", network_mode=f"container:{first}")
        with sharing as second:
            found = await docker_bench.driver.find_guest([second])
            assert found is not None
            assert found.network_of == first
            with pytest.raises(SpecRefused, match="network of its own"):
                await docker_bench.driver.admit(docker_bench.environment, second)
            await docker_bench.driver.admit(docker_bench.environment, found.network_of)
    with (
        foreign(docker_client, docker_bench, network_mode="none") as alone,
        pytest.raises(SpecRefused, match="network of its own"),
    ):
        await docker_bench.driver.admit(docker_bench.environment, alone)
    with foreign(docker_client, docker_bench, network_mode="host") as third:
        found = await docker_bench.driver.find_guest([third])
        assert found is not None
        assert found.on_host_network


async def test_tells_its_mounts(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    binds = [f"{docker_bench.state_dir}:/state:ro"]
    with foreign(docker_client, docker_bench, binds=binds) as guest:
        found = await docker_bench.driver.find_guest([guest])
        assert found is not None
        (mount,) = found.mounts
        assert (mount.source, mount.target, mount.writable) == (str(docker_bench.state_dir), "/state", False)


async def test_this_process_is_known_by_what_it_writes_to(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    """The ids that it sees may be another's, whose network it shares."""
    assert isinstance(docker_bench.driver, DockerDriver)
    guests: Guests = docker_bench.driver._guests
    with foreign(docker_client, docker_bench) as first, foreign(docker_client, docker_bench, "own") as own:
        data = docker_client.inspect_container(own)["GraphDriver"]["Data"] or {}
        if "UpperDir" not in data:
            pytest.skip("this engine's storage does not tell")
        layer = data["UpperDir"]
        for ids in ((first,), (first, own), ()):
            found = await guests.find_own(OwnHints(ids, layer, in_container=True))
            assert found is not None
            assert found.id == own
        assert await guests.find_own(OwnHints((first,), "/elsewhere", in_container=True)) is None
        known = await guests.find_own(OwnHints((first,), "", in_container=True))
        assert known is not None
        assert known.id == first
        assert await guests.find_own(OwnHints((first,), layer, in_container=False)) is None
