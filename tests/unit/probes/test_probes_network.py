"""Probes over the network, of real servers on this machine."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest
from aiohttp import web
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from e2e_controller.probes import tcp
from tests.certificates import self_signed
from tests.streams import Streams, serving_streams

from .probe_helpers import Watch

MakeWatch = Callable[..., Watch]
Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves an aiohttp handler or raw streams; returns the port."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Any, *, context: ssl.SSLContext | None = None, port: int = 0) -> int:
            if isinstance(handler, web.Application):
                runner = web.AppRunner(handler, shutdown_timeout=0.1)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, reuse_port=True)
                await site.start()
                return int(runner.addresses[0][1])
            return await stack.enter_async_context(serving_streams(handler, port, reuse_port=True))

        yield start


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that nobody listens on, nor takes; who knows it may listen beside (SO_REUSEPORT)."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def application(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    return app


def answering(text: str, status: int = 200, **headers: str) -> web.Application:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status, headers=headers)

    return application(handle)


async def answer_of(
    watch: Watch, readiness: dict[str, Any], port: int, expected: str = ""
) -> tuple[bool, str]:
    """The first answer that begins so, or that of a minute later: the machine may stop during an attempt."""
    watch.start({"timeout": "30s", **readiness}, {"main": port})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            await watch.until(lambda report: report.attempts > 0 and report.answer.startswith(expected))
    return watch.report.ready, watch.report.answer


@pytest.mark.parametrize(
    ("app", "probe", "ready", "answer"),
    [
        (answering("hello"), {}, True, "200 OK"),
        (answering("hello", 204), {}, True, "204 No Content"),
        (answering("hello", 302, Location="/"), {}, False, "302 Found: hello"),
        (answering("hello", 302, Location="/"), {"statusMax": 399}, True, "302 Found"),
        (answering("not\n yet", 503), {}, False, "503 Service Unavailable: not yet"),
        (answering("x" * 5000, 500), {}, False, "500 Internal Server Error: " + "x" * 197 + "..."),
        (answering("", 404), {}, False, "404 Not Found"),
        (answering("", 404), {"statusMin": 404, "statusMax": 404}, True, "404 Not Found"),
        (answering("up and running"), {"contains": ["running", "up"]}, True, "200 OK"),
        (
            answering("up"),
            {"contains": ["up", "ready"]},
            False,
            "200 OK: the body does not contain 'ready': up",
        ),
        (answering("x" * (2**20 + 300_000) + "up"), {"contains": ["up"]}, False, None),
    ],
)
async def test_http(
    make_watch: MakeWatch,
    serve: Serve,
    app: web.Application,
    probe: dict[str, Any],
    ready: bool,
    answer: str | None,
) -> None:
    port = await serve(app)
    watch = make_watch()
    asked = {"http": {"port": "main", "path": "/-/ready?x=1", **probe}}
    result = await answer_of(watch, asked, port, answer or "")
    assert result[0] is ready
    assert answer is None or result[1] == answer
    assert watch.report.request == f"GET http://127.0.0.1:{port}/-/ready?x=1"


async def test_http_headers(make_watch: MakeWatch, serve: Serve) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.headers['Host']} {request.headers['X-Token']} {request.raw_path}")

    probe = {
        "port": "main",
        "path": "/a%20b?q=1",
        "headers": {"Host": "example", "X-Token": "t"},
        "contains": ["example t /a%20b?q=1"],
    }
    assert await answer_of(make_watch(), {"http": probe}, await serve(application(handle))) == (
        True,
        "200 OK",
    )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed("other.example").server_context(tmp_path_factory.mktemp("tls"))


async def test_https_with_anybodys_certificate(
    make_watch: MakeWatch, serve: Serve, certificate: ssl.SSLContext
) -> None:
    port = await serve(answering("hello"), context=certificate)
    probe = {"port": "main", "scheme": "HTTPS"}
    assert await answer_of(make_watch(), {"http": probe}, port) == (True, "200 OK")


async def test_https_of_a_plain_server(make_watch: MakeWatch, serve: Serve) -> None:
    port = await serve(close_at_once)
    ready, answer = await answer_of(make_watch(), {"http": {"port": "main", "scheme": "HTTPS"}}, port)
    assert not ready
    assert answer


async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await never_answer(reader, writer)  # who closes what is not read yet resets the connection


async def stall_after_status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n")
    await never_answer(reader, writer)


async def stall_after_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nread")
    await asyncio.sleep(0)
    writer.write(b"y")
    await never_answer(reader, writer)


@pytest.mark.parametrize(
    ("handler", "probe", "ready", "answer"),
    [
        (hang_up, {}, False, "connection closed without an answer"),
        (never_answer, {}, False, "timeout after 2s"),
        (greet, {}, False, "not an HTTP answer: "),
        (stall_after_status, {}, False, "500 Oh"),
        (stall_after_text, {"contains": ["ready"]}, True, "200 OK"),
        (stall_after_text, {}, True, "200 OK"),
    ],
)
async def test_http_of_odd_servers(
    make_watch: MakeWatch, serve: Serve, handler: Streams, probe: dict[str, Any], ready: bool, answer: str
) -> None:
    readiness = {"http": {"port": "main", **probe}, "timeout": "2s"}
    result = await answer_of(make_watch(), readiness, await serve(handler), answer)
    assert result[0] is ready
    assert result[1].startswith(answer)


@pytest.mark.parametrize("kind", ["http", "tcp", "grpc"])
async def test_a_port_that_nobody_listens_on(make_watch: MakeWatch, silent_port: int, kind: str) -> None:
    result = await answer_of(make_watch(), {kind: {"port": "main"}}, silent_port)
    assert result == (False, "connection refused")


async def test_tcp_at_the_containers_own_address(make_watch: MakeWatch, serve: Serve) -> None:
    watch = make_watch()
    port = await serve(close_at_once)
    assert await answer_of(watch, {"tcp": {"port": "main"}}, port) == (True, "connected")
    assert watch.report.request == f"connect to 127.0.0.1:{port}"


def proxied(watch: Watch, port: int, published: int) -> None:
    watch.container = replace(watch.container, host_ports={f"{port}/tcp": published})


@pytest.mark.parametrize("kind", ["http", "tcp", "grpc"])
async def test_a_program_that_listens_late_behind_a_proxy_that_accepts_early(
    make_watch: MakeWatch, serve: Serve, silent_port: int, kind: str
) -> None:
    port = silent_port
    accepted = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(1)
        with contextlib.closing(writer):
            backend_reader, backend_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(backend_writer):
                await asyncio.gather(copy(reader, backend_writer), copy(backend_reader, writer))

    published = await serve(proxy)
    watch = make_watch(reachable=False)
    proxied(watch, port, published)
    watch.start({kind: {"port": "main"}, "timeout": "2s", "startupTimeout": "1h"}, {"main": port})
    report = await watch.until(lambda report: report.attempts >= 10 <= len(accepted))  # it let everybody in,
    assert not report.ready  # and nobody was fooled
    assert watch.told == []
    if kind == "grpc":
        stop = await serve_health(port, HealthCheckResponse.SERVING)
    else:
        await serve(answering("hello") if kind == "http" else never_answer, port=port)
    await watch.until(lambda report: report.ready)
    await watch.prober.aclose()
    if kind == "grpc":
        await stop()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()


async def test_tcp_behind_a_proxy_of_a_program_that_speaks_first(make_watch: MakeWatch, serve: Serve) -> None:
    watch = make_watch(reachable=False)
    proxied(watch, 25, await serve(greet))
    assert await answer_of(watch, {"tcp": {"port": "main"}, "timeout": "60s"}, 25) == (True, "connected")


async def close_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The whole machine stops just then."""
    time.sleep(2 * tcp.SETTLE)  # noqa: ASYNC251
    writer.close()


@pytest.mark.parametrize("handler", [close_at_once, close_late])
async def test_tcp_behind_a_proxy_is_told_why_not(
    make_watch: MakeWatch, serve: Serve, handler: Streams
) -> None:
    watch = make_watch(reachable=False)
    proxied(watch, 80, await serve(handler))
    ready, answer = await answer_of(watch, {"tcp": {"port": "main"}}, 80)
    assert not ready
    assert answer == "connection closed at once: the program does not listen yet"


async def serve_health(port: int, *statuses: int, service: str = "") -> Callable[[], Awaitable[None]]:
    server = grpc.aio.server()
    if statuses:
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        await servicer.set(service, statuses[0])
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    await server.start()

    async def stop() -> None:
        await server.stop(None)

    return stop


@pytest.mark.parametrize(
    ("statuses", "asked", "ready", "answer"),
    [
        ([HealthCheckResponse.SERVING], "", True, "SERVING"),
        ([HealthCheckResponse.NOT_SERVING], "", False, "NOT_SERVING"),
        ([HealthCheckResponse.SERVING], "other", False, "NOT_FOUND"),
        ([], "", False, "UNIMPLEMENTED: "),
    ],
)
async def test_grpc(
    make_watch: MakeWatch, silent_port: int, statuses: list[int], asked: str, ready: bool, answer: str
) -> None:
    port = silent_port
    stop = await serve_health(port, *statuses)
    watch = make_watch()
    readiness = {"grpc": {"port": "main", "service": asked}}
    result = await answer_of(watch, readiness, port, answer)
    assert result[0] is ready
    assert result[1].startswith(answer)
    assert watch.report.request == f"grpc.health.v1.Health/Check {asked!r} at 127.0.0.1:{port}"
    await watch.prober.aclose()
    await stop()


async def test_grpc_of_another_kind_of_server(make_watch: MakeWatch, serve: Serve) -> None:
    readiness = {"grpc": {"port": "main"}, "timeout": "2s"}
    ready, answer = await answer_of(make_watch(), readiness, await serve(answering("hello")))
    assert not ready
    assert answer.startswith(("UNAVAILABLE: ", "timeout after 2s"))
