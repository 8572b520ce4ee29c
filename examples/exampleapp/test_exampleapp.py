"""An app of our own, built from its Dockerfile, and a Prometheus beside it.

pytest examples/exampleapp
"""

import shutil
import urllib.request
from pathlib import Path

import prometheus_client

import e2e
import e2edb
from e2e import equals, greater_or_equal

APP = Path(__file__).resolve().parent
REQUESTS = "http_requests_total"


def test_prometheus_sees_at_least_five_requests(tmp_path: Path) -> None:
    with e2e.Environment() as env:
        app = env.workload(
            "exampleapp",
            build=str(build_context(tmp_path / "context")),
            ports={"http": 8080},
            readiness=e2e.HttpProbe(port="http", path="/-/ready"),
            metrics="http",
        )
        target = app.internal_endpoint("http")
        scrape = {"job_name": "exampleapp", "static_configs": [{"targets": [target]}]}
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}
        prometheus = e2edb.prometheus(env, "prometheus", config=config)
        env.start_and_wait_ready(app, prometheus, timeout=300)  # the build may take its time

        for _ in range(5):
            assert get(app.endpoint("http")) == "hello\n"
        good = [e2e.LabelMatcher.equal("code", "200")]
        app.wait_sum_metrics(greater_or_equal(5), REQUESTS, matchers=good)

        # From inside the environment it is known by its name.
        assert prometheus.exec(["wget", "-qO-", f"http://{target}/slow"]).stdout_text == "hello\n"
        app.wait_sum_metrics(equals(6), REQUESTS, matchers=good)
        app.wait_sum_metrics(equals(6), "http_request_duration_seconds", count=True)

        # And what Prometheus knows of it.
        queries = e2e.Queries(prometheus)
        queries.wait_query(f'sum({REQUESTS}{{job="exampleapp", code="200"}})', equals(6))
        queries.wait_query('http_request_duration_seconds_bucket{path="/slow", le="0.1"}', equals(0))


def build_context(folder: Path) -> Path:
    """The app's folder with the library that it needs, as installed here, so that nothing is downloaded."""
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    library = Path(prometheus_client.__file__).parent
    shutil.copytree(library, folder / library.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def get(endpoint: str, path: str = "/") -> str:
    """What the app answers at `host:port`."""
    with urllib.request.urlopen(f"http://{endpoint}{path}", timeout=30) as answer:
        return str(answer.read().decode())
