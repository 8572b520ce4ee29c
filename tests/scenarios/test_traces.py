"""Traces of real programs in a real Jaeger."""

import json
import time
import urllib.parse
import urllib.request

import pytest

import e2e
import e2edb
from e2e import equals, greater

QUERY = "/api/v1/query"


def ask(endpoint: str, query: str) -> None:
    """A question to a querier, which answers with at least one series."""
    question = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"http://{endpoint}{QUERY}?{question}", timeout=10) as response:
        assert json.load(response)["data"]["result"]


def test_a_query_is_one_trace_across_querier_sidecar_and_prometheus(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    jaeger = e2edb.jaeger(env, "jaeger")
    prometheus = e2edb.prometheus(env, "prometheus-1", tracing=jaeger)
    sidecar = e2edb.thanos_sidecar(env, "sidecar-1", prometheus, tracing=jaeger)
    stores = [sidecar.internal_endpoint("grpc")]
    query = e2edb.thanos_querier(env, "query-1", stores, tracing=jaeger)
    env.start_and_wait_ready(jaeger, prometheus, sidecar, query)
    query.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")
    prometheus.wait_sum_metrics(greater(0), "prometheus_tsdb_head_samples_appended_total")

    ask(query.endpoint("http"), "up")

    traces = e2e.Traces(jaeger)
    services = ["sidecar-1", "prometheus"]
    (trace,) = traces.wait("query-1", "/query_instant", across=services)
    assert trace.root.service == "query-1"
    assert trace.services == ("prometheus", "query-1", "sidecar-1")
    (server,) = {span.process_tags["service.instance.id"] for span in trace.of("prometheus")}
    assert server == "prometheus-1"
    assert all(span.seconds <= trace.seconds for span in trace.spans)
    assert traces.get(trace.id).id == trace.id
    assert set(traces.services()) >= {"query-1", *services}

    with pytest.raises(e2e.WaitTimeout) as raised:
        traces.wait("query-1", "/query_instand", timeout=1)
    assert "operations of query-1: /query_instant," in str(raised.value)
    jaeger.kill()
    started = time.monotonic()
    with pytest.raises(e2e.WaitFailed, match="it can no longer be"):
        traces.wait("query-2", timeout=60)
    assert time.monotonic() - started < 30


async def test_a_wait_ends_when_jaeger_does(e2e_async_environment: e2e.AsyncEnvironment) -> None:
    jaeger = e2edb.jaeger(e2e_async_environment, "jaeger")
    await jaeger.start_and_wait_ready()
    traces = e2e.AsyncTraces(jaeger)
    with pytest.raises(e2e.WaitTimeout, match="no spans have reached jaeger yet"):
        await traces.wait("query-1", timeout=0.2)
    assert await traces.wait("query-1", expectation=equals(0)) == []
