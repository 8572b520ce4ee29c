"""Traces of real programs in a real Jaeger."""

import asyncio
import json
import time
import urllib.parse
import urllib.request

import pytest

import e2e
import e2edb
from e2e import equals, greater

QUERY = "/query HTTP[server]"
"""How Thanos calls what it does for an instant query."""
SERIES = ("sidecar-1", "/thanos.Store/Series")
"""And where it gets what it needs."""


def ask(endpoint: str, query: str) -> None:
    """A question to a querier, which answers with at least one series."""
    question = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"http://{endpoint}/api/v1/query?{question}", timeout=60) as response:
        assert json.load(response)["data"]["result"]


def configuration(endpoint: str) -> str:
    """What a Prometheus has read."""
    with urllib.request.urlopen(f"http://{endpoint}/api/v1/status/config", timeout=60) as response:
        return str(json.load(response)["data"]["yaml"])


def test_a_query_is_one_trace_across_querier_and_sidecar(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    jaeger = e2edb.jaeger(env, "jaeger")
    # Debian's Prometheus takes the configuration, but is built without what sends traces.
    prometheus = e2edb.prometheus(env, "prometheus-1", tracing=jaeger)
    sidecar = e2edb.thanos_sidecar(env, "sidecar-1", prometheus, tracing=jaeger)
    stores = [sidecar.internal_endpoint("grpc")]
    query = e2edb.thanos_querier(env, "query-1", stores, tracing=jaeger)
    env.start_and_wait_ready(jaeger, prometheus, sidecar, query)
    query.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")
    prometheus.wait_sum_metrics(greater(0), "prometheus_tsdb_head_samples_appended_total")
    assert "endpoint: jaeger:4317" in configuration(prometheus.endpoint("http"))

    ask(query.endpoint("http"), "up")

    traces = e2e.Traces(jaeger)
    # What a service sends of it comes in several parts, as they were done.
    (trace,) = traces.wait(
        "query-1", QUERY, {"http.method": "GET"}, across=["sidecar-1"], where=lambda it: it.of(*SERIES) != ()
    )
    assert (trace.root.service, trace.root.operation, trace.root.parent_id) == ("query-1", QUERY, "")
    assert set(trace.services) >= {"query-1", "sidecar-1"}
    (series,) = trace.of(*SERIES)
    assert series.parent_id in {span.span_id for span in trace.of("query-1")}
    assert 0 < series.seconds < trace.seconds
    assert traces.get(trace.id).id == trace.id
    assert set(traces.services()) >= {"query-1", "sidecar-1"}


async def test_a_wait_in_vain_tells_what_there_is_and_ends_when_jaeger_does(
    e2e_async_environment: e2e.AsyncEnvironment,
) -> None:
    env = e2e_async_environment
    jaeger = e2edb.jaeger(env, "jaeger")
    query = e2edb.thanos_querier(env, "query-1", tracing=jaeger)
    traces = e2e.AsyncTraces(jaeger)
    await env.start_and_wait_ready(jaeger, query)
    with pytest.raises(e2e.WaitTimeout, match=r"services that jaeger knows|no spans have reached jaeger yet"):
        await traces.wait("query-2", timeout=2)
    assert await traces.wait("query-2", expectation=equals(0)) == []
    await asyncio.to_thread(ask, await query.endpoint("http"), "vector(1)")
    assert await traces.wait("query-1", QUERY)
    with pytest.raises(e2e.WaitTimeout) as raised:
        await traces.wait("query-1", "/query HTTP[sever]", timeout=2)
    assert "operations of query-1: /query HTTP[server], " in str(raised.value)

    waiting = asyncio.create_task(traces.wait("query-2", timeout=120))
    started = time.monotonic()
    await jaeger.kill()
    with pytest.raises(e2e.WaitFailed, match=r"query-2 at jaeger did not become .*: it can no longer be"):
        await waiting
    assert time.monotonic() - started < 60
