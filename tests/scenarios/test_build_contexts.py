"""An image that is built, on the real engine, when its files change."""

import json
import os
from pathlib import Path

from controllers import Controller
from small import BUSYBOX

from e2e import Client, Environment, Goal
from e2e.messages import container_key, environment_key
from tests.engine import docker_client

NAME = f"building-{os.getpid()}"
KEY = container_key(NAME, "web")


def test_a_changed_context_is_built_again_by_apply(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCOPY word /word\n")
    spec = {
        "build": {"context": str(tmp_path)},
        "command": ["sh", "-c", "trap 'exit 0' TERM; cat /word; echo; while true; do sleep 0.05; done"],
        "readiness": {"log": {"pattern": "."}},
    }
    metadata = {"name": "web", "environment": NAME}
    document = json.dumps({"apiVersion": "e2e/v1", "kind": "Workload", "metadata": metadata, "spec": spec})
    environment = Environment.attach(NAME, controller=controller.address)
    images: set[str] = set()

    def applied(word: str) -> str:
        """The container that serves what was built of this word."""
        (tmp_path / "word").write_text(word)
        client.apply(document)
        client.wait([KEY], Goal.READY, 90)
        assert env.get("web").logs() == f"{word}\n"
        found = client.get(KEY).status.container
        images.add(found.image)
        return str(found.id)

    with Client.connect(controller.address) as client, environment as env:
        first = applied("first")
        assert applied("first") == first
        assert applied("second") != first
        client.delete([KEY])
        client.wait([KEY, environment_key(NAME)], Goal.DELETED, 60)
    with docker_client() as engine:
        tags = {tag for image in engine.api.images() for tag in image["RepoTags"] or ()}
    assert not images & tags  # they go with their environment
