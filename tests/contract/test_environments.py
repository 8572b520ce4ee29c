"""Networks and volumes of environments."""

import asyncio
import ipaddress

import docker
import pytest
from docker.errors import APIError

from e2e_controller.drivers.base import NAME_IS_FREE, ContainerEvent, DriverError, Key, Mount, NameTaken
from e2e_controller.drivers.docker import DockerDriver, containers
from tests.contract import scripts
from tests.contract.bench import IMAGE, Bench, eventually, own_pool
from tests.contract.test_events import following

POOL = ipaddress.ip_network("10.201.0.0/16")


def subnet(client: docker.APIClient, network: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    (config,) = client.inspect_network(network)["IPAM"]["Config"]
    return ipaddress.ip_network(config["Subnet"])


async def test_a_network_is_made_once(bench: Bench) -> None:
    assert await bench.driver.inspect_network(bench.environment) is None
    made = await bench.driver.ensure_network(bench.environment)
    assert await bench.driver.ensure_network(bench.environment) == made
    assert await bench.driver.inspect_network(bench.environment) == made
    assert list(await bench.driver.list_environments()) == [bench.environment]


async def test_the_address_range_is_known_once_the_network_is(bench: Bench) -> None:
    assert bench.driver.subnet(bench.environment) == ""
    await bench.driver.ensure_network(bench.environment)
    subnet = bench.driver.subnet(bench.environment)
    assert ipaddress.ip_network(subnet).prefixlen == 24
    await bench.restart()
    await bench.driver.list_environments()
    assert bench.driver.subnet(bench.environment) == subnet
    await bench.driver.remove_environment(bench.environment)
    assert bench.driver.subnet(bench.environment) == ""


async def test_many_may_ask_for_it_at_once(bench: Bench) -> None:
    ids = await asyncio.gather(*(bench.driver.ensure_network(bench.environment) for _ in range(12)))
    assert len(set(ids)) == 1


async def test_two_controllers_at_once(docker_bench: Bench) -> None:
    """They race for subnets, and each gets its own."""
    other = await docker_bench.other()
    names = [f"{docker_bench.environment}-{number}" for number in range(4)]
    ids = await asyncio.gather(
        *(docker_bench.driver.ensure_network(f"{name}a") for name in names),
        *(other.ensure_network(f"{name}b") for name in names),
    )
    assert len(set(ids)) == 8


async def test_subnets_come_from_the_pool(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    names = [f"{docker_bench.environment}-{number}" for number in range(4)]
    await asyncio.gather(*map(docker_bench.driver.ensure_network, names))
    subnets = [subnet(docker_client, containers.network_name(name)) for name in names]
    assert len(set(subnets)) == 4
    for found in subnets:
        assert found.prefixlen == 24
        assert ipaddress.ip_network(found).subnet_of(POOL)  # type: ignore[arg-type]


async def test_a_pool_that_is_used_up(docker_bench: Bench) -> None:
    pool = own_pool(29)
    driver = DockerDriver(
        docker_bench.controller_id,
        state_dir=docker_bench.state_dir,
        address_pool=pool,
        subnet_prefix=30,
    )
    first, second, third = (f"{docker_bench.environment}-{number}" for number in range(3))
    try:
        await driver.ensure_network(first)
        await driver.ensure_network(second)
        with pytest.raises(DriverError, match=rf"{pool} has no free /30.*larger address pool"):
            await driver.ensure_network(third)
        await driver.remove_environment(first)
        await driver.ensure_network(third)
    finally:
        await driver.close()


async def test_a_subnet_that_another_network_takes(
    docker_bench: Bench, docker_client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the creation; the next one is taken instead."""
    driver = DockerDriver(  # of the usual pool sisters may have more than it tries one after the other
        docker_bench.controller_id,
        state_dir=docker_bench.state_dir,
        address_pool=own_pool(29),
        subnet_prefix=30,
    )
    try:
        await driver.ensure_network(f"{docker_bench.environment}-first")
        monkeypatch.setattr("e2e_controller.drivers.docker.networks.subnets_of", lambda _networks: iter(()))
        await driver.ensure_network(docker_bench.environment)
    finally:
        await driver.close()
    second = subnet(docker_client, containers.network_name(docker_bench.environment))
    first = subnet(docker_client, containers.network_name(f"{docker_bench.environment}-first"))
    assert first != second


async def test_a_foreign_network_has_the_name(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    name = containers.network_name(docker_bench.environment)
    made = docker_client.create_network(name)
    try:
        with pytest.raises(NameTaken, match="did not make"):
            await docker_bench.driver.ensure_network(docker_bench.environment)
        await docker_bench.driver.remove_environment(docker_bench.environment)
        docker_client.inspect_network(made["Id"])
    finally:
        docker_client.remove_network(made["Id"])


async def test_removes_all_of_an_environment_and_nothing_else(bench: Bench) -> None:
    other = f"{bench.environment}-x"
    await bench.driver.ensure_network(other)
    container_id = await bench.create(mounts=(Mount("data", "/data"),))
    await bench.driver.remove(container_id)
    for _ in range(2):
        await bench.driver.remove_environment(bench.environment)
        assert list(await bench.driver.list_environments()) == [other]
        assert await bench.driver.inspect_network(bench.environment) is None


async def test_an_environment_of_which_only_a_volume_is_left(bench: Bench) -> None:
    await bench.driver.remove(await bench.create(mounts=(Mount("data", "/data"),)))
    await bench.driver.remove_environment(bench.environment)
    await bench.create(mounts=(Mount("data", "/data"),))
    assert list(await bench.driver.list_environments()) == [bench.environment]


async def test_workloads_find_each_other_by_name(docker_bench: Bench) -> None:
    script = "mkdir /www; echo hello >/www/index.html; httpd -f -p 80 -h /www"
    await docker_bench.up("server", command=("sh", "-c", script))
    client = await docker_bench.up("client")

    async def fetch() -> bytes:
        return (await docker_bench.run(client, "wget", "-q", "-O-", "http://server/"))[0]

    await eventually(fetch, lambda answer: answer == b"hello\n")
    out, _, _ = await docker_bench.run(client, "hostname")
    assert out == b"client\n"


async def test_environments_do_not_see_each_other(docker_bench: Bench) -> None:
    await docker_bench.up("server")
    address = (await docker_bench.look("server")).address
    other = Key(f"{docker_bench.environment}-x", "Workload", "client")
    await docker_bench.driver.ensure_network(other.environment)
    client = await docker_bench.driver.create(other, docker_bench.spec(), "hash")
    await docker_bench.driver.start_container(client)
    out, _, _ = await docker_bench.run(client, "nslookup", "server")
    assert address
    assert address.encode() not in out  # the machine's own servers of names may know another `server`


async def test_a_network_made_anew_has_another_id(bench: Bench) -> None:
    """That is how it is seen that a container is in a network that is gone."""
    container_id = await bench.up(command=scripts.TRAP.command)
    await bench.driver.remove(container_id)
    first = await bench.driver.inspect_network(bench.environment)
    await bench.driver.remove_environment(bench.environment)
    assert await bench.driver.ensure_network(bench.environment) != first
    await bench.up()
    assert (await bench.look()).network_id == await bench.driver.inspect_network(bench.environment)


async def test_a_stray_container_of_ours_does_not_hold_the_network(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    await docker_bench.up()
    await docker_bench.driver.remove_environment(docker_bench.environment)
    assert await docker_bench.driver.inspect_network(docker_bench.environment) is None


async def test_a_foreign_container_in_the_network_is_left_alone(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    await docker_bench.driver.ensure_network(docker_bench.environment)
    network = containers.network_name(docker_bench.environment)
    name = f"{docker_bench.environment}-foreign"
    environment = Key(docker_bench.environment, "Environment", docker_bench.environment)
    host_config = docker_client.create_host_config(network_mode=network)
    foreign = docker_client.create_container(IMAGE, ["sleep", "1000"], name=name, host_config=host_config)
    try:
        docker_client.start(foreign["Id"])
        with pytest.raises(DriverError, match=rf"{name}.*docker network disconnect {network} {name}"):
            await docker_bench.driver.remove_environment(docker_bench.environment)
        assert docker_client.inspect_container(foreign["Id"])["State"]["Running"]
        async with following(docker_bench) as found:
            docker_client.disconnect_container_from_network(foreign["Id"], network)
            await found.until(lambda event: event == ContainerEvent(environment, NAME_IS_FREE))
    finally:
        docker_client.remove_container(foreign["Id"], force=True)
    await docker_bench.driver.remove_environment(docker_bench.environment)


async def test_a_volume_in_use_is_an_error(docker_bench: Bench) -> None:
    await docker_bench.up(mounts=(Mount("data", "/data"),))
    with pytest.raises(DriverError, match="in use"):
        await docker_bench.driver.remove_environment(docker_bench.environment)


async def test_a_second_network_of_the_name_goes(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    """The engine makes one where the call for the first broke off."""
    network = await docker_bench.driver.ensure_network(docker_bench.environment)
    container_id = await docker_bench.create()
    name = containers.network_name(docker_bench.environment)
    labels = docker_client.inspect_network(network)["Labels"]

    def double() -> None:
        try:
            docker_client.create_network(name, check_duplicate=False, labels=labels)
        except APIError as error:  # as engines of today do
            pytest.skip(f"this engine makes no second one: {error}")

    await asyncio.to_thread(double)
    await docker_bench.driver.start_container(container_id)
    assert [found["Id"] for found in docker_client.networks(names=[name])] == [network]
    assert (await docker_bench.look()).network_id == network
    await docker_bench.driver.remove(container_id)
    await asyncio.to_thread(double)
    await docker_bench.driver.remove_environment(docker_bench.environment)
    assert docker_client.networks(names=[name]) == []
