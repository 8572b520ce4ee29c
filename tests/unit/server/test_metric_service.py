"""MetricService on pages that are really served."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from e2e_api.v1 import metric_service_pb2 as pb

from .conftest import Client, Harness, MetricsPage, checked, wait_request


async def test_health_answers_while_a_large_page_is_worked_on(
    client: Client, harness: Harness, page: MetricsPage
) -> None:
    page.text = "".join(f'requests{{path="/{number:040}"}} 1\n' for number in range(250_000))
    await page.workload(client)
    matcher = pb.LabelMatcher(name="path", type=pb.LABEL_MATCH_TYPE_REGEX, value="/0+[0-9]*")
    request = wait_request("requests", equals=250_000, matchers=[matcher])
    waiting = asyncio.create_task(checked(client.metrics.WaitMetrics(request, timeout=60)))
    loop, longest = asyncio.get_running_loop(), 0.0
    started = loop.time()
    async with grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        while not waiting.done():
            began = loop.time()
            await check(health_pb2.HealthCheckRequest())
            longest = max(longest, loop.time() - began)
    assert (await waiting).sample.sums[0].series == 250_000
    assert longest < (loop.time() - started) / 2  # nearly all of it where the page holds the loop
