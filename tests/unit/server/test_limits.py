"""How much of the controller a client over TCP may have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import grpc
import pytest

from e2e_api.errors import LimitExceeded, from_rpc_error
from e2e_api.v1 import manifest_service_pb2 as manifests
from e2e_controller.server import errors, http_server, limits

from .conftest import Harness, checked, document, eventually
from .transport import (
    ADMIN,
    TEAM,
    bearer,
    guarded,
    listed,
    read_on,
    table,
)


async def test_a_client_has_so_many_calls_at_once(harness: Harness) -> None:
    settings = {"tokens": table(harness), "calls_per_client": 3}
    async with guarded(harness, **settings) as served, served.client(TEAM) as client:
        watches = [client.manifests.Watch(manifests.WatchRequest()) for _ in range(3)]
        for watch in watches:
            await watch.read()
        with pytest.raises(LimitExceeded, match="client team has 3 calls under way") as refused:
            await listed(client)
        assert refused.value.reason == "TooManyCalls"
        async with served.client(ADMIN) as other:
            await listed(other)
        watches[0].cancel()
        await eventually(lambda: harness.manager._server.calls == 2)
        await listed(client)


async def test_a_client_that_asks_too_fast_is_told_when_to_come_again(harness: Harness) -> None:
    settings = {"tokens": table(harness), "call_rate": 0.01}
    async with guarded(harness, **settings) as served, served.client(TEAM) as client:
        await listed(client)
        call = client.manifests.List(manifests.ListRequest(), timeout=20)
        with pytest.raises(grpc.RpcError) as refused:
            await call
        error = from_rpc_error(refused.value)
        assert (error.reason, error.action) == ("RateLimited", "retry")
        pushback = dict(await call.trailing_metadata())["grpc-retry-pushback-ms"]
        assert 0 < int(pushback) <= 100_000
        async with served.client(ADMIN) as other:
            await listed(other)
        await listed(served.local)


async def test_a_client_that_does_not_read_is_cut_off(harness: Harness) -> None:
    narrow = {"grpc.http2.bdp_probe": 0}  # it takes 64 KiB before it must read
    async with guarded(harness, stall_timeout=8.0) as served, served.client(**narrow) as client:
        watch = client.manifests.Watch(manifests.WatchRequest())
        await watch.read()
        names = [f"web-{number}" for number in range(5)]
        await served.local.apply(*(document(name, env={"FILLER": "x" * 200_000}) for name in names))
        await eventually(lambda: harness.manager._server.calls == 0)
        with pytest.raises(LimitExceeded, match="has not read what it asked for") as cut:
            await checked(read_on(watch))
        assert cut.value.reason == "Stalled"


async def test_strangers_do_not_use_up_the_number_of_calls(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "MAX_CALLS", 3)
    monkeypatch.setattr(limits, "_PATIENCE", 60.0)
    async with (
        guarded(harness, tokens=table(harness)) as served,
        served.client("nobody-0123456789abcdef") as stranger,
        served.client(ADMIN) as client,
    ):
        refused = [stranger.manifests.List(manifests.ListRequest()) for _ in range(20)]
        await eventually(lambda: harness.sample("e2e_refused_calls_total", reason="TokenUnknown") == 20)
        await listed(client)
        assert sum(not call.done() for call in refused) > 3, "they still wait for their answers"
        for call in refused:
            call.cancel()


async def test_strangers_are_slowed_down_over_http_too(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "_PATIENCE", 3600.0)
    settings = {"tokens": table(harness), "http": "127.0.0.1:0"}
    async with guarded(harness, **settings), aiohttp.ClientSession() as session:
        page = f"http://{harness.manager.http_address}/metrics"

        async def status(token: str) -> int:
            async with session.get(page, headers={"Authorization": f"Bearer {token}"}) as answer:
                return answer.status

        guesses = [asyncio.create_task(status("nobody-0123456789abcdef")) for _ in range(20)]
        await eventually(lambda: harness.sample("e2e_refused_calls_total", reason="TokenUnknown") == 20)
        assert await status(ADMIN) == 200
        assert sum(not guess.done() for guess in guesses) > 3, "they still wait for their answers"
        assert {guess.result() for guess in guesses if guess.done()} == {401}
        assert "refused a call from 127.0.0.1, by HTTP: TokenUnknown" in caplog.text
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_a_request_that_does_not_come_is_counted(harness: Harness) -> None:
    settings = {"tokens": table(harness), "calls_per_client": 1}
    async with guarded(harness, **settings) as served, served.channel() as channel:
        call = channel.stream_unary("/e2e.v1.ManifestService/Get")(never(), metadata=bearer(TEAM))
        await eventually(lambda: harness.manager._server.calls == 1)
        async with served.client(TEAM) as client:
            with pytest.raises(LimitExceeded, match="1 calls under way"):
                await listed(client)
        call.cancel()


async def test_a_request_that_does_not_come_is_not_waited_for(harness: Harness) -> None:
    settings = {"tokens": table(harness), "stall_timeout": 0.3}
    async with guarded(harness, **settings) as served, served.channel() as channel:
        call = channel.stream_unary("/e2e.v1.ManifestService/Get")(never(), metadata=bearer(TEAM))
        with pytest.raises(LimitExceeded, match="has not come whole within") as ended:
            await checked(call)
        assert ended.value.reason == "Stalled"


@pytest.mark.parametrize("requests", [[], [b"\xff\xff\xff"]])
async def test_what_is_no_request_is_refused(harness: Harness, requests: list[bytes]) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.channel() as channel:
        for method in ("ManifestService/Get", "ManifestService/Watch"):
            call = channel.stream_unary(f"/e2e.v1.{method}")(
                iter(requests), metadata=bearer(TEAM), timeout=20
            )
            with pytest.raises(grpc.RpcError) as refused:
                await call
            code = refused.value.code()
            assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)


async def test_connections_are_bounded(harness: Harness) -> None:
    async with guarded(harness, max_connections=2) as served:
        opened = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(6)]

        async def until_closed(reader: asyncio.StreamReader) -> None:
            with suppress(ConnectionError):
                while await reader.read(1000):  # the server's settings come first
                    pass

        reading = [asyncio.create_task(until_closed(reader)) for reader, _ in opened]
        await eventually(lambda: sum(task.done() for task in reading) == 4)
        await asyncio.sleep(0.1)
        assert sum(task.done() for task in reading) == 4
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        for _, writer in opened:
            writer.close()


async def test_connections_to_http_are_bounded_and_end(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(http_server, "REAP_SECONDS", 0.3)
    async with guarded(harness, http="127.0.0.1:0"), aiohttp.ClientSession() as session:
        host, _, port = harness.manager.http_address.rpartition(":")
        opened = []
        for _ in range(2):
            opened.append(await asyncio.open_connection(host, int(port)))
            await asyncio.sleep(0.02)
        opened[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")  # and never its end
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b""  # one too many
        for reader, _ in opened:
            assert await asyncio.wait_for(reader.read(), 20) == b""
        monkeypatch.setattr(http_server, "REAP_SECONDS", 60.0)
        async with session.get(f"http://{harness.manager.http_address}/healthz") as answer:
            assert answer.status == 200
        for closed in (writer, *(writer for _, writer in opened)):
            closed.close()
