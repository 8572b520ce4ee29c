"""The controller's own metrics, of one that runs."""

import json
import os
import re
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from controllers import Controller
from small import BUSYBOX, until_stopped

from e2e import Environment

MANIFEST = {
    "apiVersion": "e2e/v1",
    "kind": "Workload",
    "metadata": {"name": "web"},
    "spec": {
        "image": BUSYBOX,
        "command": until_stopped("httpd -p 80 -h /etc"),
        "ports": {"http": 80},
        "readiness": {"http": {"port": "http", "path": "/passwd"}},
    },
}


@pytest.fixture
def controller() -> Iterator[Controller]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as base:
        controller = Controller(Path(base), ["--http=127.0.0.1:0"])
        try:
            yield controller
        finally:
            controller.stop()


def test_queue_calls_and_probes_are_measured(controller: Controller) -> None:
    name = f"own-metrics-{os.getpid()}"
    place = controller.folder / name
    place.mkdir()
    (place / "web.json").write_text(json.dumps(MANIFEST))
    with Environment.attach(name, controller=controller.address) as env:
        env.get("web", wait=60)
        env.wait_ready("web")
    served = re.search(r"serving HTTP on (\S+:\d+)", controller.log())
    assert served is not None
    with urllib.request.urlopen(f"http://{served[1]}/metrics", timeout=60) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[:1] != "#")
    calls = 'e2e_engine_call_duration_seconds_{}{{call="create",result="success"}}'
    assert float(lines[calls.format("count")]) >= 1  # more, where somebody else takes its port meanwhile
    assert 0 < float(lines[calls.format("sum")]) < 60
    probes = 'e2e_probe_duration_seconds_{}{{result="success",type="http"}}'
    assert float(lines[probes.format("count")]) >= 1
    assert 0 < float(lines[probes.format("sum")]) < 60
    assert 0 <= float(lines["e2e_queue_depth"]) < 10
