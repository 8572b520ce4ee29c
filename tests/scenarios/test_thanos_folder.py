"""The Thanos story as a folder of manifests: the SDK only waits and asserts."""

import os
import shutil
from pathlib import Path

import pytest
from apis import until
from controllers import Controller
from querier import wait_up

from e2e import Client, Conflict, Environment, Goal, equals, greater
from e2e.messages import environment_key
from tests.engine import docker_client

MANIFESTS = Path(__file__).parents[2] / "examples" / "manifests" / "thanos"
CONNECTIONS = "thanos_store_nodes_grpc_connections"
SAMPLES = "prometheus_tsdb_head_samples_appended_total"


def change(path: Path, old: str, new: str) -> None:
    """Edits a file as an editor does: a new one, renamed over it."""
    text = path.read_text()
    assert old in text
    edited = path.with_suffix(".tmp~")
    edited.write_text(text.replace(old, new))
    edited.replace(path)


def test_manifests_in_a_folder_are_all_that_is_needed(controller: Controller) -> None:
    name = f"thanos-{os.getpid()}"
    place = controller.folder / name
    shutil.copytree(MANIFESTS, place)
    with Environment.attach(name, controller=controller.address) as env:
        q = env.get("query-1", wait=60)
        p1, p2, s1 = (env.get(found, wait=60) for found in ("prometheus-1", "prometheus-2", "sidecar-1"))
        env.wait_ready("prometheus-1", "sidecar-1", "prometheus-2", "sidecar-2", "query-1")
        q.wait_sum_metrics(equals(2), CONNECTIONS)
        p1.wait_sum_metrics(greater(50), SAMPLES)
        p2.wait_sum_metrics(greater(50), SAMPLES)
        wait_up(q.endpoint("http"), "prometheus-1", "prometheus-2")
        assert "version" in p2.exec(["/bin/prometheus", "--version"]).stdout_text
        for change_it in (p1.stop, lambda: env.apply((MANIFESTS / "prometheus-1.yaml").read_text())):
            with pytest.raises(Conflict, match=r"prometheus-1\.yaml"):
                change_it()

        for file in ("prometheus-1.yaml", "sidecar-1.yaml"):
            change(place / file, "state: Running", "state: Stopped")
        for stopped in (p1, s1):
            stopped.wait_not_ready()
        q.wait_sum_metrics(equals(1), CONNECTIONS)
        wait_up(q.endpoint("http"), "prometheus-2")
        until(p1.is_running, lambda running: not running)  # it may take longer than it is ready

        shutil.rmtree(place)
        with Client.connect(controller.address) as client:
            client.wait([environment_key(name)], Goal.DELETED, 100)
    assert not (controller.state / "environments" / name).exists()
    with docker_client() as engine:
        assert not engine.containers.list(all=True, filters={"name": f"^/?{name}[.]"})
        assert not engine.networks.list(names=[f"e2e-{name}"])
