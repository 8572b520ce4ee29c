"""What a querier needs to answer many queries: load, a report, and its page with plots.

    pytest examples/thanos/test_benchmark.py --e2e-benchmark-dir reports

It needs the extra `report`: `pip install 'e2e-controller[report]'`.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import e2e
import e2edb
from e2e import equals
from e2e.testing.benchmark import Benchmark

SECONDS = 10.0
CLIENTS = 4
QUERY = "sum by (prometheus) (rate(prometheus_tsdb_head_samples_appended_total[1m]))"
ASKED = 'handler="query", job="query-1"'
SLOWEST = "histogram_quantile({}, sum by (le) (rate(http_request_duration_seconds_bucket{{{}}}[$__range])))"
FIGURES = {
    "queries a second": f"sum by (code) (rate(http_requests_total{{{ASKED}}}[5s]))",
    "seconds of a query, p50": SLOWEST.format(0.5, ASKED),
    "seconds of a query, p90": SLOWEST.format(0.9, ASKED),
}


@pytest.mark.e2e_benchmark
def test_load_on_the_querier(e2e_benchmark: Benchmark, tmp_path: Path) -> None:
    with e2e.Environment(timeout=120) as env, e2e.monitoring.start(env) as monitoring:
        p1 = e2edb.prometheus(env, "prometheus-1")
        s1 = e2edb.thanos_sidecar(env, "sidecar-1", p1)
        p2 = e2edb.prometheus(env, "prometheus-2")
        s2 = e2edb.thanos_sidecar(env, "sidecar-2", p2)
        q = e2edb.thanos_querier(env, "query-1", [s1.internal_endpoint("grpc"), s2.internal_endpoint("grpc")])
        env.start_and_wait_ready(p1, s1, p2, s2, q)
        q.wait_sum_metrics(equals(2), "thanos_store_nodes_grpc_connections")
        # The load begins when the querier has something to tell, and is watched.
        queries = e2e.Queries(q)
        queries.wait_query(f"count({QUERY})", equals(2))
        monitoring.wait_query('up{job="query-1"}', equals(1))

        with e2e_benchmark.measure(monitoring, "load", queries=FIGURES, settle=60) as phase:
            answered = put_load_on(lambda: queries.query(QUERY).by("prometheus"), SECONDS)

    print(phase.report)  # Markdown
    phase.report.write(tmp_path)  # JSON, Markdown and the page
    used = phase.report.of("query-1")
    assert used.cpu_seconds is not None
    assert 0 < used.cpu_seconds < phase.report.seconds * CLIENTS
    assert answered > 0
    assert phase.report.figures["queries a second (code=200)"] > 0
    assert "queries a second" in (tmp_path / "load.html").read_text()


def put_load_on(ask: Callable[[], dict[str, float]], seconds: float) -> int:
    """Several clients ask all the time; how often they were answered by both Prometheus."""
    end = time.monotonic() + seconds

    def client(_: int) -> int:
        answers = 0
        while time.monotonic() < end:
            assert ask().keys() == {"prometheus-1", "prometheus-2"}
            answers += 1
        return answers

    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(client, range(CLIENTS)))
