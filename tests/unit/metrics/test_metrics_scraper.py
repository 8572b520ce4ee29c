"""Fetching, from real servers on this machine."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from e2e_api.quantities import format_duration
from e2e_controller.httpclient import explain
from e2e_controller.metrics import Page, ScrapeError, Scraper
from tests.streams import serving_streams

from .patient import PatientScraper

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def scraper() -> AsyncIterator[Scraper]:
    scraper = PatientScraper(limit=100_000)
    yield scraper
    await scraper.aclose()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/metrics"))

    yield start
    for server in servers:
        await server.close()


def answering(text: str | bytes, headers: dict[str, str] | None = None, status: int = 200) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        body = text.encode() if isinstance(text, str) else text
        return web.Response(
            body=body, status=status, headers={"Content-Type": "text/plain", **(headers or {})}
        )

    return handle


async def test_a_page(scraper: Scraper, serve: Serve) -> None:
    url = await serve(answering("\ufeffm 1\n", {"Content-Type": "application/openmetrics-text"}))
    assert await scraper.fetch(url) == Page("m 1\n", "application/openmetrics-text")


async def test_what_is_asked_for(scraper: Scraper, serve: Serve) -> None:
    async def handle(request: web.Request) -> web.Response:
        assert "text/plain;version=0.0.4" in request.headers["Accept"]
        assert "application/openmetrics-text;version=1.0.0" in request.headers["Accept"]
        return web.Response(text=f"port {request.transport.get_extra_info('peername')[1]}\n")  # type: ignore[union-attr]

    url = await serve(handle)
    first, second = await scraper.fetch(url), await scraper.fetch(url)
    assert first == second  # the connection is kept


async def test_who_asks_together_shares_a_request_that_begins_after_they_asked(
    scraper: Scraper, serve: Serve
) -> None:
    value, begun, go_on = 1, asyncio.Event(), asyncio.Event()
    served = []

    async def handle(request: web.Request) -> web.Response:
        served.append(value)
        begun.set()
        text = f"m {value}\n"
        await go_on.wait()
        return web.Response(text=text)

    url = await serve(handle)
    early = asyncio.create_task(scraper.fetch(url))
    await begun.wait()
    value = 2
    late = [asyncio.create_task(scraper.fetch(url)) for _ in range(50)]
    await asyncio.sleep(0)
    go_on.set()
    assert (await early).text == "m 1\n"
    assert {page.text for page in await asyncio.gather(*late)} == {"m 2\n"}
    assert served == [1, 2]


async def test_who_leaves_takes_no_page_from_the_others(scraper: Scraper, serve: Serve) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="m 1\n")

    url = await serve(handle)
    first, *others = [asyncio.create_task(scraper.fetch(url)) for _ in range(3)]
    await begun.wait()
    first.cancel()
    go_on.set()
    assert {page.text for page in await asyncio.gather(*others)} == {"m 1\n"}


async def test_an_empty_page_has_no_metrics(scraper: Scraper, serve: Serve) -> None:
    assert (await scraper.fetch(await serve(answering("")))).text == ""


async def test_bytes_that_are_no_text_hurt_only_themselves(scraper: Scraper, serve: Serve) -> None:
    page = await scraper.fetch(await serve(answering(b'm{a="\xff"} 1\n')))
    assert page.text == 'm{a="\ufffd"} 1\n'


async def test_a_compressed_page(scraper: Scraper, serve: Serve) -> None:
    url = await serve(answering(gzip.compress(b"m 1\n"), {"Content-Encoding": "gzip"}))
    assert (await scraper.fetch(url)).text == "m 1\n"


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (answering("no such page", status=404), "404 Not Found: no such page"),
        (answering("", status=500), "500 Internal Server Error"),
        (answering("<html>"), "not a metrics page: text/plain, line 1 is: <html>"),
        (answering("m 1\n" * 50_000), "the page is larger than "),
        (
            answering(gzip.compress(b"m 1\n" * 50_000), {"Content-Encoding": "gzip"}),
            "the page is larger than ",
        ),
        (answering("m 1", {"Content-Encoding": "gzip"}), ""),
        (
            answering("", {"Location": "http://other.invalid/metrics"}, 302),
            "redirects to another host: http://o",
        ),
        (answering("", {"Location": "/more"}, 302), "more than 3 redirects"),
        (answering("m 1", {"X-Long": "x" * 10_000}), "not an HTTP answer: "),
    ],
)
async def test_why_there_is_no_page(scraper: Scraper, serve: Serve, handler: Handler, message: str) -> None:
    url = await serve(handler)
    with pytest.raises(ScrapeError) as caught:
        await scraper.fetch(url)
    assert str(caught.value).startswith(f"GET {url}: {message}")


async def test_a_redirect_on_the_same_host_is_followed(scraper: Scraper, serve: Serve) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.path == "/metrics":
            raise web.HTTPMovedPermanently("/metrics/")
        return web.Response(text="m 1\n")

    assert (await scraper.fetch(await serve(handle))).text == "m 1\n"


async def test_an_endless_page_is_left(scraper: Scraper, serve: Serve) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"m 1\n" * 1000)

    with pytest.raises(ScrapeError, match="larger than"):
        await scraper.fetch(await serve(handle))


async def test_a_slow_page_is_left(scraper: Scraper, serve: Serve) -> None:
    go_on = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"m 1\n")
        await go_on.wait()
        return response

    url = await serve(handle)
    for seconds in (1.0, 5.0, 30.0, 120.0):  # of a machine that stops, less may be enough to read nothing
        with pytest.raises(ScrapeError) as caught:
            await scraper.fetch(url, timeout=seconds)
        assert str(caught.value).startswith(f"GET {url}: timeout after {format_duration(seconds)}")
        if "read" in str(caught.value):
            break
    assert str(caught.value).endswith(", 4 bytes read")
    go_on.set()


async def test_a_server_that_is_not_there_or_speaks_something_else(scraper: Scraper) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await reader.read()  # who closes what is not read yet resets the connection

    async with serving_streams(greet) as port:
        with pytest.raises(ScrapeError, match="not an HTTP answer"):
            await scraper.fetch(f"http://127.0.0.1:{port}/metrics")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody else listens there
        port = silent.getsockname()[1]
        with pytest.raises(ScrapeError, match="connection refused"):
            await scraper.fetch(f"http://127.0.0.1:{port}/metrics")
    with pytest.raises(ScrapeError):
        await scraper.fetch("http://[::1/metrics")


@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"])
def test_no_tls_is_told_whatever_openssl_calls_it(reason: str) -> None:
    error = ssl.SSLError(1, f"[SSL: {reason}] {reason.replace('_', ' ').lower()}")
    error.reason = reason
    told = explain(aiohttp.ClientConnectorSSLError(Mock(), error))
    assert told.endswith(": the port may not speak TLS")


async def test_a_server_that_does_not_speak_tls(scraper: Scraper) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()

    async with serving_streams(plain) as port:
        with pytest.raises(ScrapeError, match="TLS handshake failed"):
            await scraper.fetch(f"https://127.0.0.1:{port}/metrics")
