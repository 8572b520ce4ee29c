"""The work of a client that left stops, whatever it asked for."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from e2e_api.v1 import container_service_pb2 as containers
from e2e_api.v1 import metric_service_pb2 as metrics
from e2e_controller.drivers.base import Key
from e2e_controller.server.errors import ErrorInterceptor

from .conftest import Client, Harness, MetricsPage, document, eventually, key, selection, wait_request

WEB = Key("test", "Workload", "web")


@pytest.fixture
def left(client: Client, harness: Harness) -> Callable[[Any], Any]:
    """Cancels a call, and waits until nothing of it is left in the controller."""
    store = harness.manager._store
    before = set(store._subscriptions)

    async def leave(call: Any) -> None:
        await eventually(lambda: harness.manager._server.calls == 1)  # those before it are over
        call.cancel()
        await eventually(lambda: harness.manager._server.calls == 0)
        assert store._subscriptions == before

    return leave


async def looked_at(page: MetricsPage) -> None:
    """Returns once somebody has looked at the page again, and again."""
    scrapes = page.scrapes
    await eventually(lambda: page.scrapes > scrapes + 1)


async def quiet(page: MetricsPage) -> None:
    """Returns once nobody has looked at the page for longer than between any two looks of a wait."""
    async with asyncio.timeout(60):
        scrapes = -1
        while scrapes != page.scrapes:  # a look that was under way may still arrive
            scrapes = page.scrapes
            await asyncio.sleep(0.4)


async def test_wait_metrics(client: Client, page: MetricsPage, left: Callable[[Any], Any]) -> None:
    page.text = "up 0\n"
    await page.workload(client)
    call = client.metrics.WaitMetrics(wait_request("up", equals=1), timeout=60)
    await eventually(lambda: page.scrapes > 2)
    await looked_at(page)
    await left(call)
    await quiet(page)


async def test_watch_metrics(client: Client, page: MetricsPage, left: Callable[[Any], Any]) -> None:
    page.text = "up 0\n"
    await page.workload(client)
    call = client.metrics.WatchMetrics(metrics.WatchMetricsRequest(selection=selection("up")), timeout=60)
    await call.read()
    await looked_at(page)
    await left(call)
    await quiet(page)


async def test_what_a_client_that_has_gone_does_not_take_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that had not read for a while: the answer that waited for it fails before the call is cancelled."""
    ended = asyncio.Event()

    class Gone:
        async def write(self, _response: object) -> None:
            raise grpc.aio.InternalError('Failed "execute_batch"')

    async def numbers(_request: object, _context: object) -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            ended.set()

    await ErrorInterceptor()._stream(numbers)(None, Gone())
    assert ended.is_set()
    assert not caplog.records


async def test_logs(client: Client, harness: Harness, left: Callable[[Any], Any]) -> None:
    await client.apply(document())
    await client.wait()
    following = count_open(harness)  # what the controller itself may have followed until then is no client's
    harness.driver.log(WEB, b"first\n")
    call = client.containers.Logs(containers.LogsRequest(key=key(), follow=True), timeout=60)
    assert (await call.read()).data == b"first\n"
    assert following == ["open"]
    await left(call)
    assert following == ["open", "closed"]


@pytest.mark.parametrize("command", [["cat"], ["sleep", "1000"]])
async def test_exec(client: Client, harness: Harness, left: Callable[[Any], Any], command: list[str]) -> None:
    await client.apply(document())
    await client.wait()
    call = client.containers.Exec(timeout=60)
    start = containers.ExecStart(key=key(), command=command, stdin=True)
    await call.write(containers.ExecRequest(start=start))
    (session,) = await eventually(lambda: harness.driver.container(WEB).sessions)
    assert not session._task.done()
    await left(call)
    assert session._task.done()


def count_open(harness: Harness) -> list[str]:
    """Tells when logs are opened and closed."""
    told: list[str] = []
    logs = harness.driver.logs

    async def counted(*args: Any, **options: Any) -> AsyncIterator[Any]:
        told.append("open")
        outputs = logs(*args, **options)
        try:
            async for output in outputs:
                yield output
        finally:
            await outputs.aclose()
            told.append("closed")

    harness.driver.logs = counted  # type: ignore[assignment, method-assign]
    return told
