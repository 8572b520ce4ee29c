"""The Thanos story with the asynchronous SDK: independent waits run beside each other."""

import asyncio

from querier import wait_up

import e2e
import e2edb
from e2e import equals, greater

CONNECTIONS = "thanos_store_nodes_grpc_connections"
SAMPLES = "prometheus_tsdb_head_samples_appended_total"


async def test_querier_sees_both_sidecars() -> None:
    async with e2e.AsyncEnvironment() as env:
        p1 = e2edb.prometheus(env, "prometheus-1")
        s1 = e2edb.thanos_sidecar(env, "sidecar-1", p1)
        p2 = e2edb.prometheus(env, "prometheus-2")
        s2 = e2edb.thanos_sidecar(env, "sidecar-2", p2)
        q = e2edb.thanos_querier(env, "query-1", [s1.internal_endpoint("grpc"), s2.internal_endpoint("grpc")])
        await env.start_and_wait_ready(p1, s1, p2, s2, q)
        await asyncio.gather(
            q.wait_sum_metrics(equals(2), CONNECTIONS),
            p1.wait_sum_metrics(greater(50), SAMPLES),
            p2.wait_sum_metrics(greater(50), SAMPLES),
        )
        endpoint = await q.endpoint("http")
        await asyncio.to_thread(wait_up, endpoint, "prometheus-1", "prometheus-2")

        await env.stop(s1, p1)
        assert not await p1.is_running()
        await q.wait_sum_metrics(equals(1), CONNECTIONS)
        await asyncio.to_thread(wait_up, endpoint, "prometheus-2")
        name = env.name
    async with await e2e.AsyncClient.connect() as client:
        assert not [found for found in await client.list_environments() if found.environment == name]
