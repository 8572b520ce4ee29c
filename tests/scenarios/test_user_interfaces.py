"""What Prometheus' and Thanos' own pages show, in a real browser."""

from pathlib import Path
from urllib.parse import urlencode

import httpx
from chromium import Chromium, text_of

import e2e
import e2edb
from e2e import equals


def test_prometheus_and_thanos_show_what_they_should(tmp_path: Path) -> None:
    with e2e.Environment() as env:
        p1 = e2edb.prometheus(env, "prometheus-1")
        s1 = e2edb.thanos_sidecar(env, "sidecar-1", p1)
        q = e2edb.thanos_querier(env, "query-1", [s1.internal_endpoint("grpc")])
        env.start_and_wait_ready(p1, s1, q)
        chromium = Chromium(env)

        def shows(workload: e2e.Workload, page: str, *texts: str) -> None:
            url = f"http://{workload.internal_endpoint('http')}{page}"
            chromium.wait_shown(url, *texts, pictures=tmp_path)

        shows(p1, targets_page(p1), "myself", "prometheus-1:9090/metrics", "1/1 up")
        q.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")
        shows(q, "/stores", "sidecar-1:10901", "UP", 'prometheus="prometheus-1"')
        query = urlencode({"g0.expr": "sum(up) + 4241", "g0.tab": 1})
        for workload in (p1, q):
            shows(workload, f"/graph?{query}", "sum(up) + 4241", "4242")


def targets_page(prometheus: e2e.Workload) -> str:
    """Debian's Prometheus has the classic pages alone, and upstream's no longer has them."""
    classic = "/classic/targets"
    answer = httpx.get(f"http://{prometheus.endpoint('http')}{classic}", trust_env=False, timeout=30)
    return classic if answer.status_code == 200 else "/targets"


def test_words_of_a_page() -> None:
    html = '<p>one <b>two</b></p><script>three()</script><style>p {}</style><input value="four"> five'
    assert text_of(html) == "one two four five"
