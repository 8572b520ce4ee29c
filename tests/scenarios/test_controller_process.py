"""The controller as a process that a person starts and stops."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from controllers import Controller, names_on_engine
from small import BUSYBOX, until_stopped

from e2e import Client, Goal
from e2e.messages import container_key
from tests.engine import docker_client

PATIENCE = 120.0

pytestmark = pytest.mark.timeout(900)


def manifest(name: str) -> str:
    spec = {"image": BUSYBOX, "command": until_stopped("echo up")}
    return json.dumps({"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def start() -> Iterator[Callable[..., Controller]]:
    """Starts a controller that deletes nothing; what it made goes at the end all the same."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as base:
        started: list[Controller] = []

        def start(*options: str) -> Controller:
            started.append(Controller(Path(base), ["--no-delete-on-exit", *options]))
            return started[-1]

        yield start
        for controller in started:
            controller.kill()
            controller.options = []
            controller.start()
            controller.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_containers_stay_when_it_ends_and_are_adopted(
    start: Callable[..., Controller], number: signal.Signals
) -> None:
    environment = f"stay-{os.getpid()}"
    controller = start()
    (controller.folder / environment).mkdir()
    (controller.folder / environment / "web.yaml").write_text(manifest("web"))
    with Client.connect(controller.address) as client:
        client.wait([container_key(environment, "web")], Goal.READY, PATIENCE)
    before = running(environment)
    assert len(before) == 1
    assert controller.end(number) == (-number if number is signal.SIGKILL else 0)
    assert running(environment) == before

    controller.start()
    with Client.connect(controller.address) as client:
        client.wait([container_key(environment, "web")], Goal.READY, PATIENCE)
        assert client.get(container_key(environment, "web")).status.container.restart_count == 0
    assert running(environment) == before


def test_json_logs_tell_what_was_done_to_what_and_how_long_it_took(start: Callable[..., Controller]) -> None:
    environment = f"logs-{os.getpid()}"
    controller = start("--log-format=json")
    (controller.folder / environment).mkdir()
    (controller.folder / environment / "web.yaml").write_text(manifest("web"))
    with Client.connect(controller.address) as client:
        client.wait([container_key(environment, "web")], Goal.READY, PATIENCE)
    whole, _, _ = controller.log().rpartition("\n")  # it may be writing a line just now
    documents = [json.loads(line) for line in whole.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, documents))
    ours = [line for line in documents if line.get("key") == f"{environment}/Workload/web"]
    (plan,) = (line["plan"] for line in ours if "plan" in line)
    assert [step.partition(" ")[0].rstrip(":") for step in plan] == ["create", "start"]
    steps = {line["step"]: line["duration"] for line in ours if "step" in line}
    assert set(steps) == {"create", "start"}
    assert all(0 < seconds < 600 for seconds in steps.values())


def test_nothing_is_left_on_request(start: Callable[..., Controller]) -> None:
    environment = f"gone-{os.getpid()}"
    controller = start("--delete-on-exit")
    (controller.folder / environment).mkdir()
    (controller.folder / environment / "web.yaml").write_text(manifest("web"))
    with Client.connect(controller.address) as client:
        client.wait([container_key(environment, "web")], Goal.READY, PATIENCE)
    directory = controller.state / "environments" / environment
    (directory / "web" / "file").touch()
    assert controller.end(signal.SIGTERM) == 0
    assert names_on_engine(environment) == []
    assert not directory.exists()


def running(environment: str) -> list[str]:
    """Id and start of each container of the environment."""
    with docker_client() as client:
        found = client.containers.list(filters={"name": f"^/?{environment}[.]"})
        return [f"{it.id} {it.attrs['State']['StartedAt']}" for it in found]
