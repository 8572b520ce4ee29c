"""The benchmark use: load on a Thanos querier, and what it costs everybody who takes part.

    pytest examples/thanos/test_benchmark.py --e2e-benchmark-dir reports

The report is printed at the end; with the folder given, it is there as JSON, Markdown and a page with plots.
"""

import json
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

import e2e
import e2edb
from e2e import equals, greater
from e2e.testing.benchmark import Benchmark

SECONDS, USERS = 5.0, 2
DURATIONS = 'http_request_duration_seconds_bucket{job="query-1",handler="query"}'
REQUESTS = 'http_requests_total{job="query-1",handler="query"}'
QUERIES = {
    "queries per second": f"sum by (code) (rate({REQUESTS}[3s]))",
    "latency, p90": f"histogram_quantile(0.9, sum by (le) (increase({DURATIONS}[$__range])))",
}


@pytest.mark.e2e_benchmark(repetitions=8)
def test_queries_over_both_sidecars(e2e_benchmark: Benchmark) -> None:
    with e2e.Environment() as env:
        p1 = e2edb.prometheus(env, "prometheus-1")
        s1 = e2edb.thanos_sidecar(env, "sidecar-1", p1)
        p2 = e2edb.prometheus(env, "prometheus-2")
        s2 = e2edb.thanos_sidecar(env, "sidecar-2", p2)
        stores = [s1.internal_endpoint("grpc"), s2.internal_endpoint("grpc")]
        q = e2edb.thanos_querier(env, "query-1", stores)
        env.start_and_wait_ready(p1, s1, p2, s2, q)
        q.wait_sum_metrics(equals(2), "thanos_store_nodes_grpc_connections")
        p1.wait_sum_metrics(greater(50), "prometheus_tsdb_head_samples_appended_total")

        with e2e.monitoring.start(env) as monitoring:
            ask(q, "up")  # the querier's metrics of queries are there from its first one on
            monitoring.wait_query(f"sum({REQUESTS})", greater(0))
            with e2e_benchmark.measure(monitoring, "load", queries=QUERIES) as phase:
                answered = put_load_on(q)

        # What a query through Thanos takes, beside the same asked of one Prometheus.
        comparison = e2e_benchmark.compare(
            lambda: ask(p1, "up"), lambda: ask(q, "up"), names=("prometheus", "thanos")
        )

    report = phase.report
    assert answered > 0
    assert report.query("latency, p90").only.mean > 0
    assert {workload.name for workload in (q, s1, s2, p1, p2)} < {usage.name for usage in report.usage}
    assert (report.of("query-1").cpu_seconds or 0) > 0
    assert comparison.verdict != "faster", comparison


def put_load_on(querier: e2e.Workload) -> int:
    """Asks in parallel for a while; how many answers there were."""
    until = time.monotonic() + SECONDS

    def ask_until_then(_user: int) -> int:
        count = 0
        while time.monotonic() < until:
            ask(querier, "sum by (job) (up)")
            count += 1
        return count

    with ThreadPoolExecutor(USERS) as users:
        return sum(users.map(ask_until_then, range(USERS)))


def ask(server: e2e.Workload, promql: str) -> None:
    """One query by HTTP; what is answered has to be a success."""
    query = urllib.parse.urlencode({"query": promql})
    url = f"http://{server.endpoint('http')}/api/v1/query?{query}"
    with urllib.request.urlopen(url, timeout=30) as response:
        assert json.load(response)["status"] == "success"
