import os
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound, NotFound

from e2e_controller.drivers.base import LABEL_CONTROLLER, DriverError
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.drivers.docker.endpoint import find_endpoint
from e2e_controller.drivers.fake import FakeDriver, FakeEngine
from tests.contract import scripts
from tests.contract.bench import IMAGE, Bench


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.APIClient]:
    """The engine itself, to prepare and to look behind the driver's back."""
    try:
        endpoint = find_endpoint(None, os.environ)
        client = docker.APIClient(endpoint.url, version="auto", tls=endpoint.docker_tls())
    except (DockerException, DriverError) as error:
        pytest.skip(f"no engine: {error}")
    try:
        client.inspect_image(IMAGE)
    except ImageNotFound:
        client.close()
        pytest.skip(f"{IMAGE} is not here; run `make images`")
    yield client
    client.close()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(params=["fake", "docker"])
async def bench(request: pytest.FixtureRequest, state_dir: Path) -> AsyncIterator[Bench]:
    """On each driver."""
    if request.param == "fake":
        yield await fake_bench_in(state_dir)
        return
    async with docker_bench_on(request.getfixturevalue("docker_client"), state_dir) as made:
        yield made


@pytest.fixture
async def docker_bench(docker_client: docker.APIClient, state_dir: Path) -> AsyncIterator[Bench]:
    """On Docker, for what the fake has no idea of."""
    async with docker_bench_on(docker_client, state_dir) as made:
        yield made


@pytest.fixture
async def fake_bench(state_dir: Path) -> Bench:
    """On the fake, for what no engine can be brought to do."""
    return await fake_bench_in(state_dir)


async def fake_bench_in(state_dir: Path) -> Bench:
    engine = FakeEngine()

    async def make(controller_id: str) -> FakeDriver:
        fake = FakeDriver(controller_id, engine=engine, images=[IMAGE], state_dir=state_dir)
        scripts.teach(fake)
        return fake

    return Bench(await make("contract"), "contract", state_dir, make, "contract")


@asynccontextmanager
async def docker_bench_on(client: docker.APIClient, state_dir: Path) -> AsyncIterator[Bench]:
    """One bench; afterwards nothing of it is left on the engine."""
    unique = uuid.uuid4().hex[:10]
    drivers: dict[str, list[DockerDriver]] = defaultdict(list)

    async def make(controller_id: str) -> DockerDriver:
        driver = DockerDriver(controller_id, state_dir=state_dir, call_timeout=60)
        drivers[controller_id].append(driver)
        await driver.start()
        return driver

    identity = f"contract-{unique}"
    try:
        yield Bench(await make(identity), f"ct-{unique}", state_dir, make, identity)
    finally:
        for controller_id, made in drivers.items():
            for driver in made:
                await driver.close()
            remove_all(client, controller_id)


def remove_all(client: docker.APIClient, controller_id: str) -> None:
    """By label; and makes sure."""
    ours: dict[str, Any] = {"label": f"{LABEL_CONTROLLER}={controller_id}"}
    for container in client.containers(all=True, filters=ours):
        try:
            client.remove_container(container["Id"], v=True, force=True)
        except NotFound:
            continue
    for network in client.networks(filters=ours):
        client.remove_network(network["Id"])
    for volume in client.volumes(filters=ours)["Volumes"] or []:
        client.remove_volume(volume["Name"])
    for image in client.images(filters=ours):
        client.remove_image(image["Id"], force=True)
    assert not client.containers(all=True, filters=ours)
    assert not client.networks(filters=ours)
    assert not client.volumes(filters=ours)["Volumes"]
    assert not client.images(filters=ours)
