"""Calls to the engine are made in the turn of the environment that they are for."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import docker.errors
import pytest

from e2e_controller.drivers.base import ContainerSpec, FileContent, Key, Mount
from e2e_controller.drivers.docker.driver import DockerDriver
from e2e_controller.drivers.docker.engine import Engine

ENVIRONMENT, CONTAINER = "shop", "c1"
WEB = Key(ENVIRONMENT, "Workload", "web")
LABELS = {"io.e2e.controller": "me", "io.e2e.environment": ENVIRONMENT}
SPEC = ContainerSpec("img:1", command=(), mounts=(Mount("data", "/data"),))

Call = Callable[[DockerDriver], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "kill": lambda driver: driver.kill(CONTAINER),
    "pause": lambda driver: driver.pause(CONTAINER),
    "unpause": lambda driver: driver.unpause(CONTAINER),
    "start": lambda driver: driver.start_container(CONTAINER),
    "remove": lambda driver: driver.remove(CONTAINER),
    "describe": lambda driver: driver.describe(CONTAINER),
    "put a private file": lambda driver: driver.put_files(CONTAINER, [FileContent("/a", b"1", 0o600)]),
    "create": lambda driver: driver.create(WEB, SPEC, "hash"),
    "make a network": lambda driver: driver.ensure_network("new"),
    "look at a network": lambda driver: driver.inspect_network(ENVIRONMENT),
    "remove all": lambda driver: driver.remove_environment(ENVIRONMENT),
    "look for an image": lambda driver: driver.image_present("img:1", ENVIRONMENT),
}


def engine_client() -> MagicMock:
    """An engine with one environment, which answers all that is asked."""
    client = MagicMock()
    network = {"Id": "n1", "Name": f"e2e-{ENVIRONMENT}", "Labels": LABELS, "Containers": {}}
    client.inspect_network.return_value = network
    client.networks.return_value = [network]
    client.inspect_container.return_value = {"Config": {"Labels": LABELS, "User": "1000"}}
    client.put.return_value.status_code = 200
    client.inspect_image.return_value = {"Config": {"Entrypoint": ["/run"]}}
    client.create_container_from_config.return_value = {"Id": CONTAINER}
    client.create_volume.return_value = {"Labels": LABELS}
    client.volumes.return_value = {"Volumes": [{"Name": f"e2e-{ENVIRONMENT}.data", "Labels": LABELS}]}
    client.images.return_value = []
    return client


@pytest.mark.parametrize("name", CALLS)
async def test_each_call_is_made_in_its_environments_turn(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, turns = engine_client(), []

    async def call(
        _engine: Engine, called: str, function: Any, what: str = "", *, environment: str = ""
    ) -> Any:
        turns.append((called, what, environment))
        return function(client)

    monkeypatch.setattr(Engine, "call", call)
    driver = DockerDriver("me", state_dir=tmp_path)
    driver._lifecycle._known.learn(CONTAINER, WEB)
    if name == "make a network":
        client.inspect_network.side_effect = docker.errors.NotFound("no such network")
    await CALLS[name](driver)
    await driver.close()
    assert turns
    expected = "new" if name == "make a network" else ENVIRONMENT
    assert [turn for turn in turns if turn[2] != expected] == []
