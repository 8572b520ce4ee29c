"""What Prometheus' own checker says of the pages that are served and the configurations that are written.

Those of a running monitoring are checked in `test_monitoring`, with credentials in `test_credentials`, and
Alertmanager's by its own checker in `test_prometheus_system`.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
import yaml
from commands import ok

import e2e
import e2edb
from e2e.prometheus.manifests import Setup

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted((FOLDER / "manifests").rglob("*.yaml"))
ASKED = """
import app
app.REQUESTS.labels("get", "/", "200").inc()
app.DURATION.labels("/").observe(0.1)
print(app.generate_latest(app.REGISTRY).decode(), end="")
"""
RULES = {"groups": [{"name": "g", "rules": [{"alert": "Down", "expr": "up == 0", "for": "1m"}]}]}


@pytest.fixture(scope="module")
def env() -> Iterator[e2e.Environment]:
    with e2e.Environment() as env:
        yield env


@pytest.fixture(scope="module")
def prometheus(env: e2e.Environment) -> e2e.Workload:
    """Whose image brings the checker; it watches the environment as monitoring does."""
    setup = Setup(rules=RULES, process=True, cadvisor="usage", environment=env.name)
    prometheus = env.workload("prometheus", **setup.options())
    prometheus.start_and_wait_ready()
    return prometheus


def check(prometheus: e2e.Workload, *words: str, text: str = "") -> None:
    """Fails with what the checker has to say."""
    prometheus.exec(["promtool", "check", *words], stdin=text)


def file_of(workload: e2e.Workload, name: str) -> str:
    """The content of the one file of that name, in whatever folder."""
    (found,) = [file for file in workload.manifest.spec.files if file.path.endswith(f"/{name}")]
    assert found.content is not None
    return found.content


def test_the_configuration_of_monitoring_with_its_files(prometheus: e2e.Workload) -> None:
    check(prometheus, "config", "/etc/prometheus/prometheus.yml")
    for other in (Setup(), Setup(cadvisor="usage")):
        text = other.files()[0].content or ""
        check(prometheus, "config", "--syntax-only", "/dev/stdin", text=text)
    targets = prometheus.exec(["cat", "/etc/prometheus/targets/workloads.json"])
    assert "prometheus:9090" in targets.stdout_text


def test_the_configurations_of_ready_made_systems(env: e2e.Environment, prometheus: e2e.Workload) -> None:
    plain = e2edb.prometheus(env, "plain")
    full = e2edb.prometheus(
        env,
        "full",
        rules=RULES,
        external_labels={"a": "b"},
        tracing="jaeger:4317",
        remote_write=["http://receive:19291/api/v1/receive"],
        alertmanagers=["alertmanager:9093"],
    )
    ruler = e2edb.thanos_rule(env, "ruler", ["query:10902"], RULES)
    for workload in (plain, full):
        check(prometheus, "config", "--syntax-only", "/dev/stdin", text=file_of(workload, "prometheus.yml"))
    for workload in (full, ruler):
        check(prometheus, "rules", "/dev/stdin", text=file_of(workload, "rules.yml"))


def test_the_configurations_of_the_examples_and_of_the_catalog(prometheus: e2e.Workload) -> None:
    names = [line.split()[0] for line in ok("catalog").splitlines()]
    texts = [path.read_text() for path in EXAMPLES] + [ok("catalog", name) for name in names]
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    files = [file for document in documents for file in document["spec"].get("files", ())]
    found = [file["content"] for file in files if file["path"].endswith("/prometheus.yml")]
    assert len(found) >= 4  # two of Thanos', monitoring's, and that of `prometheus`
    for text in dict.fromkeys(found):
        check(prometheus, "config", "--syntax-only", "/dev/stdin", text=text)


def test_what_it_finds_wrong_fails(prometheus: e2e.Workload) -> None:
    with pytest.raises(e2e.ExecFailed, match="no help text"):
        check(prometheus, "metrics", text="a_total 1\n")
    with pytest.raises(e2e.ExecFailed, match="field a not found"):
        check(prometheus, "config", "--syntax-only", "/dev/stdin", text="a: 1\n")


def test_the_metrics_of_the_controller(prometheus: e2e.Workload) -> None:
    prometheus.sum_metrics("prometheus_build_info")
    with e2e.Client.connect() as client:
        page = client.controller_metrics()
    assert "e2e_engine_call_duration_seconds_bucket" in page
    check(prometheus, "metrics", text=page)


def test_the_metrics_of_the_test_process(prometheus: e2e.Workload) -> None:
    """As far as they are not the test's own."""
    check(prometheus, "metrics", text=prometheus_client.generate_latest().decode())


def test_the_metrics_of_the_example_and_of_a_given_text(
    env: e2e.Environment, prometheus: e2e.Workload
) -> None:
    command = [sys.executable, "-B", "-c", ASKED]
    page = subprocess.run(command, cwd=FOLDER / "exampleapp", capture_output=True, text=True, check=True)
    assert 'http_requests_total{code="200",method="get",path="/"} 1.0' in page.stdout
    check(prometheus, "metrics", text=page.stdout)
    static = e2edb.static_metrics(env, "static", "# HELP jobs All.\n# TYPE jobs gauge\njobs 1")
    check(prometheus, "metrics", text=file_of(static, "index.txt"))
