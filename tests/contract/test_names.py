"""Whose a container is: names taken, adoption, creations that were not finished."""

import docker
import pytest

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    NAME_IS_FREE,
    ContainerEvent,
    ContainerPhase,
    ContainerSpec,
    DriverError,
    FileContent,
    Key,
    NameTaken,
)
from e2e_controller.drivers.docker import containers
from e2e_controller.drivers.fake import FakeDriver
from tests.contract.bench import IMAGE, Bench
from tests.contract.test_events import following

FILES = (FileContent("/srv/config.txt", b"x"),)


async def test_a_second_creation_of_a_key(bench: Bench) -> None:
    container_id = await bench.up(spec_hash="first")
    with pytest.raises(NameTaken, match="Workload") as caught:
        await bench.create(spec_hash="second")
    assert caught.value.reason == Reason.NAME_CONFLICT
    found = await bench.look()
    assert (found.id, found.spec_hash, found.phase) == (container_id, "first", ContainerPhase.RUNNING)


async def test_another_kind_has_the_name(bench: Bench) -> None:
    await bench.create()
    job = bench.key(kind="Job")
    with pytest.raises(NameTaken, match="Workload"):
        await bench.driver.inspect(job)
    with pytest.raises(NameTaken, match="Workload"):
        await bench.driver.create(job, bench.spec(), "hash")


async def test_another_controller_has_the_name(bench: Bench) -> None:
    container_id = await bench.up()
    other = await bench.other()
    with pytest.raises(NameTaken, match=bench.controller_id):
        await other.inspect(bench.key())
    with pytest.raises(NameTaken, match=bench.controller_id):
        await other.create(bench.key(), bench.spec(), "hash")
    with pytest.raises(NameTaken, match=bench.controller_id):
        await other.ensure_network(bench.environment)
    with pytest.raises(NameTaken, match=bench.controller_id):
        await other.inspect_network(bench.environment)
    await other.remove_environment(bench.environment)
    assert list(await other.list_environments()) == []
    assert (await bench.look()).id == container_id
    assert await bench.driver.inspect_network(bench.environment) is not None


async def test_a_foreign_container_has_the_name(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    name = containers.container_name(docker_bench.key())
    foreign = docker_client.create_container(IMAGE, ["sleep", "1000"], name=name)
    try:
        with pytest.raises(NameTaken, match=r"did not make.*docker rm"):
            await docker_bench.driver.inspect(docker_bench.key())
        with pytest.raises(NameTaken, match="did not make"):
            await docker_bench.create()
        assert list(await docker_bench.driver.list_containers()) == []
        docker_client.inspect_container(foreign["Id"])
    finally:
        docker_client.remove_container(foreign["Id"], force=True)


async def test_a_foreign_container_has_the_name_in_the_fake(fake_bench: Bench) -> None:
    assert isinstance(fake_bench.driver, FakeDriver)
    fake_bench.driver.add_foreign(fake_bench.key())
    with pytest.raises(NameTaken, match="did not make"):
        await fake_bench.driver.inspect(fake_bench.key())
    with pytest.raises(NameTaken, match="did not make"):
        await fake_bench.create()


async def test_one_that_was_renamed_is_a_stray(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    container_id = await docker_bench.up()
    async with following(docker_bench) as found:
        docker_client.rename(container_id, f"{docker_bench.environment}-elsewhere")
        await found.until(lambda event: event == ContainerEvent(None, "stray"))
        (stray,) = await docker_bench.driver.list_containers()
        assert (stray.id, stray.is_stray) == (container_id, True)
        assert await docker_bench.driver.inspect(docker_bench.key()) is None
        docker_client.rename(container_id, containers.container_name(docker_bench.key()))
        await found.until(lambda event: event.action == "rename" and event.key == docker_bench.key())
    (listed,) = await docker_bench.driver.list_containers()
    assert not listed.is_stray


async def test_a_foreign_name_that_is_free_again_is_told(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    key = docker_bench.key()
    name, network = containers.container_name(key), containers.network_name(docker_bench.environment)
    foreign = docker_client.create_container(IMAGE, ["sleep", "1000"], name=name)
    docker_client.create_network(network)
    try:
        async with following(docker_bench) as found:
            with pytest.raises(NameTaken):
                await docker_bench.driver.inspect(key)
            with pytest.raises(NameTaken):
                await docker_bench.driver.ensure_network(docker_bench.environment)
            docker_client.remove_network(network)
            environment = Key(docker_bench.environment, "Environment", docker_bench.environment)
            await found.until(lambda event: event == ContainerEvent(environment, NAME_IS_FREE))
            docker_client.rename(foreign["Id"], f"{docker_bench.environment}-elsewhere")
            await found.until(lambda event: event == ContainerEvent(key, NAME_IS_FREE))
    finally:
        docker_client.remove_container(foreign["Id"], force=True)


async def test_a_foreign_volume_has_the_name(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    name = containers.volume_name(docker_bench.environment, "data")
    docker_client.create_volume(name)
    try:
        from e2e_controller.drivers.base import Mount

        with pytest.raises(NameTaken, match="did not make"):
            await docker_bench.create(mounts=(Mount("data", "/data"),))
        await docker_bench.driver.remove_environment(docker_bench.environment)
        docker_client.inspect_volume(name)
    finally:
        docker_client.remove_volume(name)


async def test_a_finished_creation_is_adopted_by_who_made_it(bench: Bench) -> None:
    await bench.create(spec_hash="abc", files=FILES)
    assert (await bench.look()).spec_hash == "abc"


async def test_a_creation_whose_files_may_be_missing_matches_no_hash(docker_bench: Bench) -> None:
    """Killed between the creation and the copying, nobody knows how far it came."""
    await docker_bench.create(spec_hash="abc", files=FILES)
    await docker_bench.restart()
    assert (await docker_bench.look()).spec_hash == ""


async def test_a_creation_without_files_needs_no_finish(docker_bench: Bench) -> None:
    await docker_bench.create(spec_hash="abc")
    await docker_bench.restart()
    assert (await docker_bench.look()).spec_hash == "abc"


async def test_a_container_that_ran_was_finished(docker_bench: Bench) -> None:
    container_id = await docker_bench.up(spec_hash="abc", files=FILES)
    await docker_bench.driver.stop(container_id, 0)
    await docker_bench.restart()
    assert (await docker_bench.look()).spec_hash == "abc"


async def test_an_unfinished_creation_in_the_fake(fake_bench: Bench) -> None:
    assert isinstance(fake_bench.driver, FakeDriver)
    fake_bench.driver.add_unfinished(fake_bench.key(), ContainerSpec(image=IMAGE, files=FILES), "abc")
    assert (await fake_bench.look()).spec_hash == ""


async def test_a_creation_that_fails_leaves_nothing(docker_bench: Bench) -> None:
    """The path's parent is a file, so the engine cannot unpack."""
    with pytest.raises(DriverError, match="put files"):
        await docker_bench.create(files=(FileContent("/etc/passwd/config.txt", b"x"),))
    assert await docker_bench.driver.inspect(docker_bench.key()) is None
    assert list(await docker_bench.driver.list_containers()) == []


async def test_users_labels_do_not_change_whose_it_is(bench: Bench) -> None:
    await bench.create(labels={"team": "blue", LABEL_CONTROLLER: "somebody"})
    assert (await bench.look()).key == bench.key()


async def test_names_with_dashes_do_not_collide(bench: Bench) -> None:
    """`a-b`.`c` and `a`.`b-c` are two."""
    first, second = bench.environment, f"{bench.environment}-x"
    for environment, name in ((first, "x-web"), (second, "web")):
        await bench.driver.ensure_network(environment)
        await bench.driver.create(Key(environment, "Workload", name), bench.spec(), "hash")
    assert len(await bench.driver.list_containers()) == 2
    assert list(await bench.driver.list_environments()) == [first, second]
