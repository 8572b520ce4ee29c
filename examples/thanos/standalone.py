"""Thanos to look at and to play with: monitored, traced, and its pages opened.

    make run-example
    python examples/thanos/standalone.py [NAME OF THE ENVIRONMENT]

It runs until Ctrl+C, and leaves nothing behind.
"""

import sys
from urllib.parse import urlencode

import e2e
import e2edb
from e2e import Workload, equals, greater

CONNECTIONS = "thanos_store_nodes_grpc_connections"
SAMPLES = "prometheus_tsdb_head_samples_appended_total"


def main(name: str = "thanos-example") -> None:
    with e2e.Environment(name, timeout=120) as env:
        print(f"starting Thanos, its monitoring and Jaeger in environment {name}", flush=True)
        monitoring = monitor(env)

        jaeger, p1, s1, p2, s2, q = define(env)
        env.start_and_wait_ready(jaeger, p1, s1, p2, s2, q)

        q.wait_sum_metrics(equals(2), CONNECTIONS)
        for prometheus in (p1, p2):
            prometheus.wait_sum_metrics(greater(50), SAMPLES)

        # What the querier knows of both Prometheus, what all of them use, and how a query was answered.
        q.open_in_browser(graph(f"sum({SAMPLES}) by (prometheus)"))
        monitoring.open_in_browser(graph("sum(container_memory_working_set_bytes) by (workload)"))
        e2e.Queries(q).query("up")
        e2e.Traces(jaeger).wait("query-1", across=["sidecar-1", "sidecar-2"])
        jaeger.open_in_browser("/search?service=query-1")

        env.run_until_interrupted()


def monitor(env: e2e.Environment) -> e2e.monitoring.Monitoring:
    """From here on a Prometheus scrapes whatever has metrics, and a cAdvisor what the containers use.

    This process is shown like one of them, where it may enter a cgroup.
    """
    try:
        return e2e.monitoring.start(env, current_process_as_container=True)
    except e2e.cgroups.NotPermitted as error:  # it has the commands that allow it, to be run once
        print(f"{error}\nThe rest works without.", flush=True)
        return e2e.monitoring.start(env)


def define(env: e2e.Environment | e2e.Blueprint) -> tuple[Workload, ...]:
    """Jaeger, two Prometheus, a sidecar beside each, a querier over both; all send Jaeger their traces.

    `examples/manifests/standalone` is written by this too.
    """
    jaeger = e2edb.jaeger(env, "jaeger")
    p1 = e2edb.prometheus(env, "prometheus-1", tracing=jaeger)
    s1 = e2edb.thanos_sidecar(env, "sidecar-1", p1, tracing=jaeger)
    p2 = e2edb.prometheus(env, "prometheus-2", tracing=jaeger)
    s2 = e2edb.thanos_sidecar(env, "sidecar-2", p2, tracing=jaeger)
    stores = [s1.internal_endpoint("grpc"), s2.internal_endpoint("grpc")]
    q = e2edb.thanos_querier(env, "query-1", stores, tracing=jaeger)
    return jaeger, p1, s1, p2, s2, q


def graph(query: str) -> str:
    """Prometheus' page of a query, as Thanos has it too: drawn, over the last five minutes."""
    return "/graph?" + urlencode({"g0.expr": query, "g0.tab": 0, "g0.range_input": "5m"})


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except e2e.E2EError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
