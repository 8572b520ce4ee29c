import os
import tempfile
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from e2e_controller.drivers.base import LABEL_CONTROLLER, DriverError
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.drivers.docker.endpoint import find_endpoint
from e2e_controller.drivers.fake import FakeDriver, FakeEngine
from tests.contract import scripts
from tests.contract.bench import IMAGE, SHORT, Bench, MakeDriver
from tests.other_machine import OtherMachine, other_machine


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


@pytest.fixture
async def make_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeDriver]:
    """Drivers that see nothing of the user's own settings."""
    names = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    made: list[DockerDriver] = []

    def make(engine: str | None = None, call_timeout: float = SHORT) -> DockerDriver:
        made.append(DockerDriver("nobody", engine=engine, state_dir=tmp_path, call_timeout=call_timeout))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()


@pytest.fixture(scope="module")
def machine(docker_client: docker.APIClient) -> Iterator[OtherMachine]:
    """One for the module; with `sshd`, where that is installed."""
    image = b"".join(docker_client.get_image(IMAGE))
    prefix = {"prefix": "e2e-", "ignore_cleanup_errors": True}
    with tempfile.TemporaryDirectory(**prefix) as base, other_machine(Path(base), image) as made:  # type: ignore[call-overload]
        yield made


@pytest.fixture(scope="module")
def ssh_folder(machine: OtherMachine) -> Iterator[Path]:
    with machine.sshd() as folder:
        yield folder


@pytest.fixture(params=["TLS", "ssh"])
def url(
    request: pytest.FixtureRequest,
    machine: OtherMachine,
    make_driver: MakeDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    if request.param == "ssh":
        folder = request.getfixturevalue("ssh_folder")
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return machine.ssh
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(machine.base))
    return machine.tcp


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
    stuck = [network["Id"] for network in client.networks(filters=ours) if not removed(client, network["Id"])]
    for volume in client.volumes(filters=ours)["Volumes"] or []:
        client.remove_volume(volume["Name"])
    for image in client.images(filters=ours):
        client.remove_image(image["Id"], force=True)
    assert not client.containers(all=True, filters=ours)
    assert [network["Id"] for network in client.networks(filters=ours)] == stuck
    assert not client.volumes(filters=ours)["Volumes"]
    assert not client.images(filters=ours)


def removed(client: docker.APIClient, network_id: str) -> bool:
    """False where an engine of before 23 lost count of an empty network's endpoints (moby issue 42119)."""
    try:
        client.remove_network(network_id)
    except NotFound:
        return True
    except APIError as error:
        if "active endpoints" not in str(error) or client.inspect_network(network_id)["Containers"]:
            raise
        return False
    return True
