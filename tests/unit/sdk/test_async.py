"""What is the asynchronous client's own: its transport, and that its verbs are coroutines."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import e2e
from e2e import AsyncClient, AsyncEnvironment, AsyncWorkload, Conflict, WaitFailed, WaitTimeout, equals, live
from e2e_api.v1 import container_service_pb2, environment_service_pb2, metric_service_pb2, wait_service_pb2

from .fake_controller import FakeController, ready_object, sample


class BrokenOff(e2e.E2EError):
    code = grpc.StatusCode.CANCELLED


async def test_a_story(controller: FakeController, tmp_path: Path) -> None:
    controller.answers["WaitMetrics"] = lambda _: iter(
        [metric_service_pb2.WaitMetricsResponse(sample=sample(a=2.0))]
    )
    watched = [sample(a=1.0), sample(a=3.0)]
    controller.answers["WatchMetrics"] = lambda _: (
        metric_service_pb2.WatchMetricsResponse(sample=found) for found in watched
    )
    controller.answers["Logs"] = lambda _: iter([container_service_pb2.LogsResponse(data=b"a\nb\n")])
    async with AsyncEnvironment() as env:
        assert controller.held == [env.name]
        assert env.name.startswith("test-a-story-")
        web = env.workload("web", image="x", ports={"http": 80}, metrics="http")
        assert web.internal_endpoint("http") == "web:80"
        assert web.dir == tmp_path / "shared" / "web"
        await env.start_and_wait_ready(web)
        assert await web.is_running()
        assert await web.wait_sum_metrics(equals(2), "a") == {"a": 2.0}
        assert await web.wait_sum_metrics(lambda value: value > 2, "a") == {"a": 3.0}
        assert (await web.exec(["cat"], stdin="x")).stdout_text == "x"
        assert await web.logs() == "a\nb\n"
        assert [line async for line in web.follow_logs()] == ["a", "b"]
        await web.stop()
        with pytest.raises(Conflict):
            await AsyncEnvironment(env.name).start()
    assert controller.asked(environment_service_pb2.DeleteEnvironmentRequest)
    assert live.live == {}


async def test_a_call_that_the_controller_breaks_off_is_no_cancelled_task(controller: FakeController) -> None:
    def broken_off(_: Any) -> Iterator[Any]:
        raise BrokenOff("enough")
        yield

    async with AsyncEnvironment("env") as env:
        controller.answers.update(dict.fromkeys(("Get", "WaitConditions"), broken_off))
        web = env.workload("web", image="x")
        for broken in (web.status(), env.wait_ready(web)):
            with pytest.raises(e2e.Unavailable, match="the controller broke the call off"):
                await broken
        controller.answers.clear()


async def test_waits_run_beside_each_other(controller: FakeController) -> None:
    together = threading.Barrier(4)

    def slowly(request: Any) -> Iterator[Any]:
        together.wait(60)  # returns when all four are under way
        yield wait_service_pb2.WaitConditionsResponse(
            object=ready_object("env", request.keys[0].name), met=True
        )

    async with AsyncEnvironment("env") as env:
        controller.answers["WaitConditions"] = slowly
        await asyncio.gather(*(env.wait_ready(f"w{number}") for number in range(4)))
        del controller.answers["WaitConditions"]


async def test_errors_are_typed(controller: FakeController) -> None:
    def fail(_: Any) -> Iterator[Any]:
        yield wait_service_pb2.WaitConditionsResponse(object=ready_object("env", "web"))
        raise WaitFailed("never will be")

    async with AsyncEnvironment("env") as env:
        controller.answers["WaitConditions"] = fail
        with pytest.raises(WaitFailed, match=r"web \(environment env\) is not ready"):
            await env.wait_ready("web")
        del controller.answers["WaitConditions"]


async def test_a_claim_that_is_not_granted_ends(controller: FakeController) -> None:
    left = threading.Event()

    def never(_: Any) -> Iterator[Any]:
        left.wait(60)
        yield environment_service_pb2.HoldResponse()

    controller.answers["Hold"] = never
    with pytest.raises(WaitTimeout, match=r"did not answer within 0\.1 s"):
        await AsyncEnvironment("env", timeout=0.1).start()
    with pytest.raises(WaitTimeout, match=r"did not answer within 0\.1 s"):
        e2e.Environment("env", timeout=0.1).start()
    left.set()


async def test_a_callable_is_asked_again_while_the_values_stay(controller: FakeController) -> None:
    left = threading.Event()

    def changes(_: Any) -> Iterator[Any]:
        yield metric_service_pb2.WatchMetricsResponse(sample=sample(a=1.0))
        yield metric_service_pb2.WatchMetricsResponse(sample=sample(a=2.0))
        left.wait(60)

    controller.answers["WatchMetrics"] = changes
    asked: list[float] = []

    def third_time(value: float) -> bool:
        asked.append(value)
        return asked.count(2.0) == 3

    async with AsyncEnvironment("env") as env:
        web = env.workload("web", image="x", ports={"http": 80}, metrics="http")
        assert await web.wait_sum_metrics(third_time, "a", timeout=60) == {"a": 2.0}
        assert list(dict.fromkeys(asked)) == [1.0, 2.0]  # about the first, too, where the second is late
        with pytest.raises(WaitTimeout):
            await web.wait_sum_metrics(lambda value: False, "a", timeout=1)
        left.set()


async def test_a_cancelled_wait_ends_at_once_and_cleans_up(controller: FakeController) -> None:
    over = threading.Event()
    waiting = asyncio.Event()

    def long(_: Any) -> Iterator[Any]:
        over.wait(60)
        yield wait_service_pb2.WaitConditionsResponse()

    async def story() -> None:
        async with AsyncEnvironment("env") as env:
            controller.answers["WaitConditions"] = long
            waiting.set()
            try:
                await env.wait_ready("web")
            finally:
                del controller.answers["WaitConditions"]

    task = asyncio.create_task(story())
    await waiting.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    ended, _ = await asyncio.wait([task], timeout=40)  # the call itself takes longer
    over.set()
    assert ended
    with pytest.raises(asyncio.CancelledError):
        await task
    assert controller.asked(environment_service_pb2.DeleteEnvironmentRequest)


def test_both_clients_have_the_same_verbs() -> None:
    pairs = [
        (e2e.Environment, AsyncEnvironment),
        (e2e.Workload, AsyncWorkload),
        (e2e.Client, AsyncClient),
    ]
    for sync, asynchronous in pairs:
        names = {name for name in dir(sync) if not name.startswith("_")}
        assert names == {name for name in dir(asynchronous) if not name.startswith("_")}
        for name in names:
            assert not inspect.iscoroutinefunction(getattr(sync, name))
