"""Two Prometheus, a Thanos sidecar beside each, and a querier over both: a test that reads like its story.

    pytest examples/thanos

It needs an engine, and nothing else: e2e starts its controller by itself.
"""

import json

import e2e
import e2edb
from e2e import equals, greater

BUSYBOX = "docker.io/library/busybox:1.36"
CONNECTIONS = "thanos_store_nodes_grpc_connections"
SAMPLES = "prometheus_tsdb_head_samples_appended_total"


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
        q.wait_sum_metrics(equals(2), CONNECTIONS)
        p1.wait_sum_metrics(greater(50), SAMPLES)
        p2.wait_sum_metrics(greater(50), SAMPLES)

        # Ask the querier from here, at the address that this process can reach.
        queries = e2e.Queries(q)
        both = {"prometheus-1": 1, "prometheus-2": 1}
        queries.wait_query("up", lambda found: found.by("prometheus") == both)

        s1.stop()
        p1.stop()
        q.wait_sum_metrics(equals(1), CONNECTIONS)
        queries.wait_query("up", lambda found: found.by("prometheus") == {"prometheus-2": 1})

        # A container to run commands in, beside the others.
        batch = env.workload("batch", image=BUSYBOX, command=["tail", "-f", "/dev/null"])
        batch.start_and_wait_ready()
        assert batch.exec(["echo", "it works"]).stdout_text == "it works\n"

        # A job, which ends by itself: this one asks the querier from inside the environment.
        address = f"http://{q.internal_endpoint('http')}/api/v1/query?query=sum(up)"
        answer = env.job("ask", image=BUSYBOX, command=["wget", "-q", "-O-", address]).run()
        (series,) = json.loads(answer)["data"]["result"]
        assert series["value"][1] == "1"
