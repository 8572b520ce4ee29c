"""Pages that ask who wants them, and whose certificates are verified; real servers on this machine."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from e2e_api.manifests import BasicAuth, Metrics, Tls
from e2e_api.secrets import MASK
from e2e_controller.metrics import ScrapeError, Scraper, Visitor, visitor_of
from tests.certificates import self_signed

from .patient import PatientScraper

TOKEN = "a-very-secret-token-that-is-longer-than-an-error-shows-of-any-answer-" + "x" * 200
PASSWORD = "correct horse"
Certificate = tuple[ssl.SSLContext, str]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A server's context, and its self-signed certificate for `web`."""
    made = self_signed("web")
    return made.server_context(tmp_path_factory.mktemp("tls")), made.certificate


@pytest.fixture
async def scraper() -> AsyncIterator[Scraper]:
    scraper = PatientScraper()
    yield scraper
    await scraper.aclose()


@asynccontextmanager
async def serving(
    handle: web.RequestHandler | object, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)  # type: ignore[arg-type]
    scheme = "https" if context else "http"
    server = TestServer(app, host="127.0.0.1", scheme=scheme)
    await server.start_server(ssl=context)
    try:
        yield str(server.make_url("/metrics"))
    finally:
        await server.close()


async def tell_who_asks(request: web.Request) -> web.Response:
    given = request.headers.get("Authorization", "nobody")
    known = given in (f"Bearer {TOKEN}", "Basic bWU6Y29ycmVjdCBob3JzZQ==")
    return web.Response(text="m 1\n" if known else f"not for {given}", status=200 if known else 401)


@pytest.mark.parametrize(
    "metrics",
    [
        Metrics(port="http", bearer_token=TOKEN),
        Metrics(port="http", basic_auth=BasicAuth(username="me", password=PASSWORD)),
    ],
)
async def test_credentials_are_shown_to_the_page(scraper: Scraper, metrics: Metrics) -> None:
    async with serving(tell_who_asks) as url:
        assert (await scraper.fetch(url, visitor=visitor_of(metrics, "web"))).text == "m 1\n"
        with pytest.raises(ScrapeError, match="401 Unauthorized: not for nobody"):
            await scraper.fetch(url)  # another visitor gets no page of this one's


@pytest.mark.parametrize(
    "metrics",
    [
        Metrics(port="http", bearer_token=TOKEN[:-1]),
        Metrics(port="http", basic_auth=BasicAuth(username="me", password="battery staple")),
    ],
)
async def test_no_error_tells_credentials(scraper: Scraper, metrics: Metrics) -> None:
    async with serving(tell_who_asks) as url:
        with pytest.raises(ScrapeError, match="401 Unauthorized: not for ") as caught:
            await scraper.fetch(url, visitor=visitor_of(metrics, "web"))
    assert MASK in str(caught.value)
    for secret in (TOKEN[:8], "YmF0dGVyeSBz", "bWU6YmF0dGVye", "battery"):
        assert secret not in str(caught.value)
    assert TOKEN[:8] not in repr(metrics) + repr(visitor_of(metrics, "web"))


async def test_credentials_follow_no_redirect_to_another_host(scraper: Scraper) -> None:
    asked = []

    async def other(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        return web.Response(text="m 1\n")

    async with serving(other) as elsewhere:

        async def handle(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{elsewhere}?token={request.headers['Authorization']}")

        visitor = visitor_of(Metrics(port="http", bearer_token=TOKEN), "web")
        async with serving(handle) as url:
            with pytest.raises(ScrapeError, match="redirects to another host") as caught:
                await scraper.fetch(url, visitor=visitor)
    assert TOKEN[:8] not in str(caught.value)
    assert asked == []


async def test_nothing_goes_on_in_the_clear(scraper: Scraper, certificate: Certificate) -> None:
    async def handle(request: web.Request) -> web.Response:
        raise web.HTTPFound(str(request.url.with_scheme("http")))

    async with serving(handle, certificate[0]) as url:
        with pytest.raises(ScrapeError, match="redirects to another scheme"):
            await scraper.fetch(url)


@pytest.mark.parametrize(
    ("tls", "workload", "problem"),
    [
        (None, "other", ""),
        (Tls(insecure_skip_verify=True), "other", ""),
        (Tls(insecure_skip_verify=True, server_name="x.example"), "other", ""),
        (Tls.model_construct(ca="given"), "web", ""),
        (Tls.model_construct(ca="given", server_name="web"), "other", ""),
        (Tls.model_construct(ca="given"), "other", "Hostname mismatch, certificate is not valid for 'other'"),
        (Tls.model_construct(ca="given", server_name="x.example"), "web", "not valid for 'x.example'"),
        (Tls(), "web", "not trusted: self-signed certificate"),
    ],
)
async def test_certificates(
    scraper: Scraper, certificate: Certificate, tls: Tls | None, workload: str, problem: str
) -> None:
    context, pem = certificate
    if tls is not None and tls.ca is not None:
        tls = Tls(ca=pem, server_name=tls.server_name)
    visitor = visitor_of(Metrics(port="http", scheme="https", tls=tls), workload)

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text="m 1\n")

    async with serving(handle, context) as url:
        if not problem:
            assert (await scraper.fetch(url, visitor=visitor)).text == "m 1\n"
            return
        with pytest.raises(ScrapeError, match="TLS") as caught:
            await scraper.fetch(url, visitor=visitor)
    told = str(caught.value).lower().replace("self signed", "self-signed")  # as OpenSSL writes it since 3.0
    assert problem.lower() in told


@pytest.mark.parametrize(
    ("secret", "text", "hidden"),
    [
        ("geheim", "a geheim b geheim", f"a {MASK} b {MASK}"),
        ("geheimer-als-das", "cut: geheimer-al...", f"cut: {MASK}..."),
        ("********", "a ******** b", f"a {MASK} b"),
        ("geheimer-als-das", "geheim", "geheim"),  # so little of it may be another word
    ],
)
def test_secrets_are_hidden_where_a_text_was_cut_too(secret: str, text: str, hidden: str) -> None:
    assert Visitor(secrets=(secret,)).hide(text) == hidden
