"""A Prometheus that is told by a file whom to scrape, while workloads come, die and go."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from controllers import Controller
from small import until_stopped

import e2e
import e2edb
from e2e import equals
from e2e.monitoring import Vector

PYTHON = "docker.io/library/python:3.11-slim"
TARGETS = "/etc/prometheus/targets.json"
CONFIG: Mapping[str, Any] = {
    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
    "scrape_configs": [
        {
            "job_name": "workloads",
            "file_sd_configs": [{"files": [TARGETS], "refresh_interval": "1s"}],
            "tls_config": {"insecure_skip_verify": True},
        }
    ],
}
SECURE = """
import http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'asked{path="%s"} 1\\n' % self.path.encode())
server = http.server.ThreadingHTTPServer(("", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
SECONDS = 120.0


def watching(env: e2e.Environment) -> e2e.Workload:
    """A Prometheus with nothing but the file of targets."""
    file = e2e.File(path=TARGETS, from_="MetricTargets")
    return e2edb.prometheus(env, "prometheus", config=CONFIG, files=[file])


def wait_targets(prometheus: e2e.Workload, expected: Mapping[str, str]) -> None:
    """Until Prometheus scrapes these and no others, with that health."""
    deadline, found = time.monotonic() + SECONDS, dict[str, str]()
    while time.monotonic() < deadline:
        found = {target.job: target.health for target in e2e.Queries(prometheus).targets()}
        if found == expected:
            return
        time.sleep(0.2)
    raise AssertionError(f"{found} instead of {expected}")


def test_targets_come_die_and_go_in_a_prometheus_that_runs(e2e_environment: e2e.Environment) -> None:
    prometheus = watching(e2e_environment)
    dies = e2edb.static_metrics(e2e_environment, "dies", "a 1")
    goes = e2edb.static_metrics(e2e_environment, "goes", "a 1", labels={"app.kubernetes.io/part-of": "shop"})
    e2e_environment.workload("plain", image=e2edb.BUSYBOX_IMAGE, command=["sleep", "600"])
    e2e_environment.start_and_wait_ready(prometheus, dies, goes)
    wait_targets(prometheus, {"prometheus": "up", "dies": "up", "goes": "up"})
    # A target is up a moment before its samples are there.
    series = e2e.Queries(prometheus).wait_query('a{job="goes"}', equals(1))
    assert isinstance(series, Vector)
    (sample,) = series
    assert dict(sample.labels) == {
        "__name__": "a",
        "job": "goes",
        "instance": "goes:8080",
        "workload": "goes",
        "environment": e2e_environment.name,
        "app_kubernetes_io_part_of": "shop",
    }
    before = prometheus.status().container
    comes = e2edb.static_metrics(e2e_environment, "comes", "a 1")
    comes.start()
    dies.kill()
    goes.remove()
    wait_targets(prometheus, {"prometheus": "up", "dies": "down", "comes": "up"})
    after = prometheus.status().container
    assert before is not None
    assert after is not None
    assert (after.id, after.started_at) == (before.id, before.started_at)


def test_pages_behind_https_and_with_a_query(e2e_environment: e2e.Environment, certificate: str) -> None:
    prometheus = watching(e2e_environment)
    secure = e2e_environment.workload(
        "secure",
        image=PYTHON,
        command=["python", "-c", SECURE],
        ports={"https": 8443},
        files={"/tls.pem": certificate},
        metrics=e2e.Metrics(port="https", scheme="https", path="/a%20b?format=text&x=1"),
    )
    e2e_environment.start_and_wait_ready(prometheus, secure)
    wait_targets(prometheus, {"prometheus": "up", "secure": "up"})
    result = e2e.Queries(prometheus).wait_query("asked", equals(1))
    assert set(result.by("path")) == {"/a%20b?format=text&x=1"}


def test_the_file_is_left_alone_while_the_targets_are_the_same(e2e_environment: e2e.Environment) -> None:
    command = ["sleep", "600"]
    reader = e2e_environment.workload(
        "reader",
        image=e2edb.BUSYBOX_IMAGE,
        command=command,
        files=[e2e.File(path=TARGETS, from_="MetricTargets")],
    )
    target = e2edb.static_metrics(e2e_environment, "target", "a 1")
    e2e_environment.start_and_wait_ready(reader, target)

    def written() -> str:
        return reader.exec(["stat", "-c", "%i %z", TARGETS]).stdout_text

    assert "target:8080" in reader.exec(["cat", TARGETS]).stdout_text
    before = written()
    target.update(env={"A": "1"})
    target.stop()
    target.start_and_wait_ready()
    assert written() == before
    target.update(labels={"team": "a"})
    deadline = time.monotonic() + SECONDS
    while written() == before:
        assert time.monotonic() < deadline, "another label is not in the file"
        time.sleep(0.1)


def test_what_changed_while_no_controller_ran_is_made_up_for(controller: Controller) -> None:
    name = f"away-{os.getpid()}"
    place = controller.folder / name
    place.mkdir()
    page: dict[str, Any] = {"ports": {"http": 80}, "metrics": {"port": "http"}, "state": "Stopped"}

    def write(name: str, **spec: Any) -> None:
        spec = {"image": e2edb.BUSYBOX_IMAGE, "command": until_stopped(), **spec}
        manifest = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": name}, "spec": spec}
        (place / f"{name}.json").write_text(json.dumps(manifest))

    write("reader", files=[{"path": TARGETS, "from": "MetricTargets"}])
    write("old", **page)
    with e2e.Environment.attach(name, controller=controller.address) as env:
        reader = env.get("reader", wait=60)
        reader.wait_ready()
        before = reader.status().container
    controller.kill()
    (place / "old.json").unlink()
    write("new", **page)
    controller.start()
    with e2e.Environment.attach(name, controller=controller.address) as env:
        reader = env.get("reader", wait=60)
        reader.wait_ready()
        deadline = time.monotonic() + SECONDS
        while "old:80" in (found := reader.exec(["cat", TARGETS]).stdout_text) or "new:80" not in found:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        after = reader.status().container
    assert before is not None
    assert after is not None
    assert after.id == before.id
