"""The controller's image keeps what manifests ask for, over restarts."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import engine_has
from docker.models.containers import Container
from small import BUSYBOX, until_stopped

from tests.controller_image import EVERY_SECOND, SECONDS, controller_container, ends_with, health, until
from tests.engine import docker_client


@pytest.fixture
def manifests() -> Iterator[Path]:
    """A folder that the image's user may read."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def state(environment: str) -> Iterator[str]:
    """A volume for what the controller keeps. What the controller made goes, and then the volume."""
    with docker_client() as engine:
        volume = engine.volumes.create(f"{environment}-state")
        try:
            yield str(volume.name)
        finally:
            with controller_container(
                f"{environment}-end", "--delete-on-exit", volumes=at(volume.name)
            ) as last:
                until(lambda: b"serving" in last.logs(), last)
                last.stop(timeout=SECONDS)
                ended = ends_with(last)
            volume.remove()
    assert ended[0] == 0, ended[1]
    assert engine_has(environment) == []


def at(volume: str) -> dict[str, dict[str, str]]:
    return {volume: {"bind": "/var/lib/e2e"}}


def test_it_keeps_what_a_folder_asks_for(environment: str, state: str, manifests: Path) -> None:
    spec = {"image": BUSYBOX, "command": until_stopped("echo up")}
    metadata = {"name": "web", "environment": environment}
    document = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": metadata, "spec": spec}
    (manifests / "web.json").write_text(json.dumps(document))
    volumes = {str(manifests): {"bind": "/manifests", "mode": "ro"}, **at(state)}

    def wait_ready(container: Container) -> str:
        until(lambda: health(container) == "healthy", container)
        wait = ["e2e", "wait", "web", "--env", environment, "--timeout", f"{SECONDS}s"]
        code, said = container.exec_run(
            wait, environment={"E2E_CONTROLLER": "unix:///var/lib/e2e/controller.sock"}
        )
        assert code == 0, said.decode()
        with docker_client() as engine:
            return str(engine.containers.get(f"{environment}.web").id)

    with controller_container(f"{environment}-1", volumes=volumes, healthcheck=EVERY_SECOND) as first:
        before = wait_ready(first)
        orphans_are_reaped(first)
        first.stop(timeout=SECONDS)
        code, said = ends_with(first)
        assert code == 0, said
    with controller_container(f"{environment}-2", volumes=volumes, healthcheck=EVERY_SECOND) as second:
        assert wait_ready(second) == before


def orphans_are_reaped(container: Container) -> None:
    """What is left without a parent becomes the first process's child, and must not stay as a zombie."""
    orphan = container.exec_run(["sh", "-c", "sleep 0.1 >/dev/null 2>&1 & echo $!"]).output.decode().strip()
    until(lambda: container.exec_run(["test", "-e", f"/proc/{orphan}"]).exit_code == 1, container)
