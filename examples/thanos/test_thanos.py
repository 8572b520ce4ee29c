"""Two Prometheus, a Thanos sidecar beside each, and a querier over both: a test that reads like its story.

    pytest examples/thanos

It needs an engine, and nothing else: e2e starts its controller by itself.
"""

import json
import urllib.request

import e2e
import e2edb
from e2e import equals, greater


def test_querier_sees_both_sidecars() -> None:
    with e2e.Environment() as env:
        # Nothing runs yet, but addresses inside the environment are known already.
        p1 = e2edb.prometheus(env, "prometheus-1")
        s1 = e2edb.thanos_sidecar(env, "sidecar-1", p1)
        p2 = e2edb.prometheus(env, "prometheus-2")
        s2 = e2edb.thanos_sidecar(env, "sidecar-2", p2)
        stores = [s1.internal_endpoint("grpc"), s2.internal_endpoint("grpc")]
        q = e2edb.thanos_querier(env, "query-1", stores)

        env.start_and_wait_ready(p1, s1, p2, s2, q)

        # The metric appears only some time after the start: the wait goes on until then.
        q.wait_sum_metrics(equals(2), "thanos_store_nodes_grpc_connections")
        p1.wait_sum_metrics(greater(50), "prometheus_tsdb_head_samples_appended_total")
        p2.wait_sum_metrics(greater(50), "prometheus_tsdb_head_samples_appended_total")
        assert prometheus_up(q.endpoint("http")) == ["prometheus-1", "prometheus-2"]

        s1.stop()
        p1.stop()
        q.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")
        assert prometheus_up(q.endpoint("http")) == ["prometheus-2"]


def prometheus_up(endpoint: str) -> list[str]:
    """Which Prometheus `up{}` shows, asked at the querier's `host:port`."""
    with urllib.request.urlopen(f"http://{endpoint}/api/v1/query?query=up%7B%7D", timeout=10) as response:
        series = json.load(response)["data"]["result"]
    return sorted(found["metric"]["prometheus"] for found in series)
