"""What is marked so that others can clean up, and temporary images."""

import uuid
from pathlib import Path

import docker
import pytest

from e2e_controller.drivers.base import LABEL_KIND, BuildSpec, Driver, DriverError, Mount
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.drivers.inventory import Owner, Thing, ThingKind
from tests.contract.bench import IMAGE, Bench


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    write_dockerfile(folder)
    return folder


def write_dockerfile(context: Path) -> None:
    """Each unlike any other: an engine removes layers while another build of the same is taking them."""
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nENV MADE={uuid.uuid4()}\n")


async def build(bench: Bench, context: Path, name: str = "web") -> str:
    tag = f"e2e-build/{bench.environment}.{name}:0123456789ab"
    await bench.driver.build(BuildSpec(tag, str(context)), lambda _line: None)
    return tag


async def things(driver: Driver, owner: str) -> list[Thing]:
    return [thing for thing in await driver.inventory.list_things() if thing.owner.controller_id == owner]


async def test_a_built_image_goes_with_its_environment(bench: Bench, context: Path) -> None:
    await bench.driver.ensure_network(bench.environment)
    tag = await build(bench, context)
    await bench.driver.remove_environment(f"{bench.environment}-other")
    assert await bench.driver.image_present(tag)
    await bench.driver.remove_environment(bench.environment)
    assert not await bench.driver.image_present(tag)
    assert await bench.driver.image_present(IMAGE)
    assert list(await bench.driver.list_environments()) == []


async def test_an_image_of_before_a_restart_goes_too(bench: Bench, context: Path) -> None:
    tag = await build(bench, context)
    await bench.restart()
    assert list(await bench.driver.list_environments()) == [bench.environment]
    await bench.driver.remove_environment(bench.environment)
    assert not await bench.driver.image_present(tag)
    assert list(await bench.driver.list_environments()) == []


async def test_what_a_second_build_replaced_goes_too(
    docker_bench: Bench, docker_client: docker.APIClient, context: Path
) -> None:
    await build(docker_bench, context)
    write_dockerfile(context)
    await build(docker_bench, context)
    assert len(await things(docker_bench.driver, docker_bench.controller_id)) == 2
    await docker_bench.driver.remove_environment(docker_bench.environment)
    assert await things(docker_bench.driver, docker_bench.controller_id) == []


async def test_an_image_that_somebody_uses_stays_and_hurts_nobody(
    docker_bench: Bench, docker_client: docker.APIClient, context: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await docker_bench.driver.ensure_network(docker_bench.environment)
    tag = await build(docker_bench, context)
    foreign = docker_client.create_container(tag, ["true"])["Id"]
    try:
        # It has inherited the image's labels, and is nevertheless nobody's garbage.
        assert {thing.kind for thing in await things(docker_bench.driver, docker_bench.controller_id)} == {
            ThingKind.NETWORK,
            ThingKind.IMAGE,
        }
        await docker_bench.driver.remove_environment(docker_bench.environment)
        assert await docker_bench.driver.image_present(tag)
        assert list(await docker_bench.driver.list_environments()) == []
        assert "is in use" in caplog.text
    finally:
        docker_client.remove_container(foreign, force=True)


async def test_another_name_of_an_image_stays(
    docker_bench: Bench, docker_client: docker.APIClient, context: Path
) -> None:
    tag, mine = await build(docker_bench, context), f"{docker_bench.environment}-mine:1"
    docker_client.tag(tag, f"{docker_bench.environment}-mine", "1")
    await docker_bench.driver.remove_environment(docker_bench.environment)
    assert not await docker_bench.driver.image_present(tag)
    assert await docker_bench.driver.image_present(mine)
    assert await things(docker_bench.driver, docker_bench.controller_id) == []


async def test_everything_is_listed_with_its_owner_and_can_be_removed(bench: Bench, context: Path) -> None:
    tag = await build(bench, context)
    await bench.up(image=tag, command=("sleep", "1000"), mounts=(Mount("data", "/data"),))
    other = await bench.other()
    await other.ensure_network(f"{bench.environment}-other")
    found = await things(bench.driver, bench.controller_id)
    assert sorted((str(thing.kind), thing.environment, thing.name) for thing in found) == [
        ("container", bench.environment, f"{bench.environment}.web"),
        ("image", bench.environment, tag),
        ("network", bench.environment, f"e2e-{bench.environment}"),
        ("volume", bench.environment, f"e2e-{bench.environment}.data"),
    ]
    for kind in ThingKind:
        for thing in found:
            if thing.kind is kind:
                await other.inventory.remove_thing(thing)
                await other.inventory.remove_thing(thing)  # it is gone already
    assert await things(bench.driver, bench.controller_id) == []
    assert await bench.driver.inspect(bench.key()) is None
    assert [thing.kind for thing in await things(other, f"{bench.controller_id}-other")] == [
        ThingKind.NETWORK
    ]
    await other.remove_environment(f"{bench.environment}-other")


async def test_labels_tell_where_the_owner_lives(
    docker_bench: Bench, docker_client: docker.APIClient, state_dir: Path, context: Path
) -> None:
    identity = docker_bench.controller_id
    driver = DockerDriver(identity, state_dir=state_dir, host="machine")
    await driver.start()
    docker_bench.driver, before = driver, docker_bench.driver
    try:
        tag = await build(docker_bench, context)
        await docker_bench.create(image=tag, spec_hash="hash", mounts=(Mount("data", "/data"),))
        found = await things(driver, identity)
        assert len(found) == 4
        assert {thing.owner for thing in found} == {Owner(identity, str(state_dir), "machine")}
        # One that knows nothing of hosts, as of an earlier version, adopts it all the same.
        adopted = await before.inspect(docker_bench.key())
        assert adopted is not None
        assert adopted.spec_hash == "hash"
    finally:
        docker_bench.driver = before
        await driver.close()


async def test_a_removal_that_was_cut_off_is_listed(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    """A container that removes a tree, of a controller that was killed before it could start it."""
    owner = Owner(docker_bench.controller_id)
    labels = {**owner.labels, LABEL_KIND: "Removal"}
    made = docker_client.create_container(IMAGE, ["true"], labels=labels)["Id"]
    found = await things(docker_bench.driver, docker_bench.controller_id)
    assert [(thing.kind, thing.environment, thing.id) for thing in found] == [(ThingKind.CONTAINER, "", made)]
    await docker_bench.driver.inventory.remove_thing(found[0])


async def test_a_network_that_a_stranger_uses_is_an_error_with_a_remedy(
    docker_bench: Bench, docker_client: docker.APIClient
) -> None:
    network = await docker_bench.driver.ensure_network(docker_bench.environment)
    stranger = docker_client.create_container(
        IMAGE, ["sleep", "1000"], host_config=docker_client.create_host_config(network_mode=network)
    )["Id"]
    docker_client.start(stranger)
    try:
        (found,) = await things(docker_bench.driver, docker_bench.controller_id)
        with pytest.raises(DriverError, match=r"in use by the container .*docker network disconnect"):
            await docker_bench.driver.inventory.remove_thing(found)
    finally:
        docker_client.remove_container(stranger, force=True)


async def test_a_folder_must_be_below_its_owners(bench: Bench, state_dir: Path) -> None:
    owner = Owner("x", str(state_dir / "state"), "machine")
    outside, inside = state_dir / "outside", state_dir / "state" / "environments" / "one"
    for folder in (outside, inside):
        folder.mkdir(parents=True)
    await bench.driver.inventory.remove_thing(Thing(owner, "one", ThingKind.FOLDER, "one", str(inside)))
    assert not inside.exists()
    with pytest.raises(DriverError, match="is not below"):
        await bench.driver.inventory.remove_thing(Thing(owner, "one", ThingKind.FOLDER, "one", str(outside)))
    assert outside.exists()
