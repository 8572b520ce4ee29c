"""MetricService on pages that are really served."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from e2e_api.errors import InvalidArgument, NotRunning, Unavailable, WaitFailed
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_controller.metrics.page import Patience

from .conftest import (
    Client,
    Goal,
    Harness,
    MetricsPage,
    checked,
    document,
    eventually,
    key,
    selection,
    wait_request,
)


async def test_health_answers_while_a_large_page_is_worked_on(
    client: Client, harness: Harness, page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Patience.__init__, "__defaults__", (200.0,))
    page.text = "".join(f'requests{{path="/{number:040}"}} 1\n' for number in range(100_000))
    await page.workload(client)
    matcher = pb.LabelMatcher(name="path", type=pb.LABEL_MATCH_TYPE_REGEX, value="/0+[0-9]*")
    request = wait_request("requests", equals=100_000, matchers=[matcher])
    async with grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check

        async def longest_part() -> float:
            """Of the time that the wait takes, the part that the slowest answer took."""
            waiting = asyncio.create_task(checked(client.metrics.WaitMetrics(request, timeout=200)))
            loop, longest = asyncio.get_running_loop(), 0.0
            started = loop.time()
            while not waiting.done():
                began = loop.time()
                await check(health_pb2.HealthCheckRequest())
                longest = max(longest, loop.time() - began)
            assert (await waiting).sample.sums[0].series == 100_000
            return longest / (loop.time() - started)

        for _ in range(8):  # on a busy machine, anything may hold the loop now and then
            if (part := await longest_part()) < 0.5:  # nearly all of it where the page holds the loop
                break
        assert part < 0.5


async def test_a_failed_scrape_of_a_running_workload_may_be_tried_again(
    client: Client, page: MetricsPage
) -> None:
    await page.workload(client)
    page.status = 503
    calls = (
        client.metrics.SumMetrics(pb.SumMetricsRequest(selection=selection("up")), timeout=60),
        client.metrics.GetMetrics(pb.GetMetricsRequest(key=key()), timeout=60),
    )
    for call in calls:
        with pytest.raises(Unavailable, match="503 Service Unavailable") as failed:
            await checked(call)
        assert failed.value.reason == "ScrapeFailed"


async def test_metrics_of_a_workload_that_does_not_run(client: Client) -> None:
    await client.apply(document(ports={"http": 80}, metrics={"port": "http"}, state="Stopped"))
    await client.wait(goal=Goal.WAIT_GOAL_STOPPED)
    with pytest.raises(NotRunning, match="web does not run: there is no container; it is Stopped"):
        await checked(client.metrics.SumMetrics(pb.SumMetricsRequest(selection=selection("up")), timeout=60))


async def test_metrics_of_a_manifest_that_never_was_valid(harness: Harness) -> None:
    file = harness.write("test/web.json", document(imag="busybox"))
    async with harness.running() as client:
        for call in (
            client.metrics.SumMetrics(pb.SumMetricsRequest(selection=selection("up")), timeout=60),
            client.metrics.WaitMetrics(wait_request("up", equals=1), timeout=60),
        ):
            with pytest.raises(
                InvalidArgument, match=f"its manifest was rejected: {file}:1:.*imag"
            ) as failed:
                await checked(call)
            assert failed.value.reason == "Rejected"


@pytest.mark.parametrize("state", ["Stopped", "Killed", "Paused"])
async def test_a_metric_wait_ends_when_the_manifest_asks_for_another_state(
    client: Client, page: MetricsPage, state: str
) -> None:
    page.text = "up 0\n"
    await page.workload(client)
    waiting = asyncio.create_task(
        checked(client.metrics.WaitMetrics(wait_request("up", equals=1), timeout=60))
    )
    await eventually(lambda: page.scrapes)
    await page.workload(client, state=state)
    with pytest.raises(WaitFailed, match=f"its manifest asks for state {state}") as failed:
        await waiting
    assert failed.value.reason == "NotAsked"


async def test_an_old_container_meets_no_wait_about_a_new_manifest(
    client: Client, harness: Harness, page: MetricsPage
) -> None:
    page.text = "up 1\n"
    await page.workload(client)
    harness.driver.hang("create")
    ports = {"http": {"containerPort": 80, "hostPort": await page.port()}}
    await client.apply(document(ports=ports, metrics={"port": "http"}, env={"A": "2"}))
    waiting = asyncio.create_task(
        checked(client.metrics.WaitMetrics(wait_request("up", equals=1), timeout=60))
    )
    await eventually(lambda: harness.driver.calls.count("create test/Workload/web") == 2)
    await asyncio.sleep(0.1)
    assert not waiting.done()
    harness.driver.release("create")
    await waiting
