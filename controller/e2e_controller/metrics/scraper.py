"""Fetching metrics pages, bounded in size and time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from e2e_api.quantities import format_duration
from e2e_controller.flight import SingleFlight
from e2e_controller.httpclient import LazySession, explain, shorten
from e2e_controller.metrics.page import QUICK, Page, ScrapeError, decode, ensure_metrics
from e2e_controller.metrics.visitor import ANYBODY, Visitor
from e2e_controller.offload import offload

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_MEBIBYTE = 2**20
_MOST_REDIRECTS = 3
_KEPT_PAGES, _KEPT_CHARACTERS = 32, 2**20
# The text format first: what a program calls its metrics there is what its author, and `curl`, sees.
_ACCEPT = (
    "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.7,text/plain;q=0.5,*/*;q=0.1"
)


@dataclass(slots=True, weakref_slot=True)
class _Turn:
    """Requests for one page, one after the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0


class Scraper:
    """Fetches pages over connections that are kept open in between.

    However many ask for a page, there is one request for it at a time. Whoever asks while one is under way
    shares the next: a page may be no older than the question.
    """

    def __init__(self, *, limit: int = 64 * _MEBIBYTE) -> None:
        self._limit = limit
        self._session = LazySession(keep_alive=True)
        self._last: OrderedDict[str, Page] = OrderedDict()
        self._flights: SingleFlight[tuple[str, Visitor, float, int], Page] = SingleFlight()
        self._turns: WeakValueDictionary[tuple[str, Visitor], _Turn] = WeakValueDictionary()

    def remember(self, name: str, page: Page) -> None:
        """Keeps the page as evidence, should it be the last; only the newest few, and no huge ones."""
        self._last.pop(name, None)
        if len(page.text) <= _KEPT_CHARACTERS:
            self._last[name] = page
        if len(self._last) > _KEPT_PAGES:
            self._last.popitem(last=False)

    def last(self, name: str) -> Page | None:
        """The page that was remembered under that name."""
        return self._last.get(name)

    async def fetch(self, url: str, timeout: float = 5.0, visitor: Visitor = ANYBODY) -> Page:
        """The page at an address, in `timeout` seconds. Raises `ScrapeError` that says why not."""
        turn = self._turns.setdefault((url, visitor), _Turn())
        key = (url, visitor, timeout, turn.begun)
        return await self._flights.run(key, lambda: self._fetch_in_turn(url, timeout, visitor, turn))

    async def aclose(self) -> None:
        """Ends what is under way, and closes the connections."""
        await self._flights.cancel_all()
        await self._session.aclose()

    async def _fetch_in_turn(self, url: str, timeout: float, visitor: Visitor, turn: _Turn) -> Page:
        async with turn.lock:
            turn.begun += 1
            try:
                return await self._fetch(url, timeout, visitor)
            except ScrapeError as error:
                # An answer may repeat what it was asked with.
                raise ScrapeError(visitor.hide(str(error))) from None

    async def _fetch(self, url: str, timeout: float, visitor: Visitor) -> Page:
        import aiohttp

        received = bytearray()
        try:
            async with asyncio.timeout(timeout):
                content_type = await self._read(url, visitor, received)
        except TimeoutError:
            progress = f", {len(received)} bytes read" if received else ""
            raise ScrapeError(f"GET {url}: timeout after {format_duration(timeout)}{progress}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ScrapeError(f"GET {url}: {explain(error)}") from error
        try:
            if len(received) <= QUICK:
                return _page(received, content_type)
            return await offload(_page, received, content_type)
        except ScrapeError as error:
            raise ScrapeError(f"GET {url}: {error}") from None

    async def _read(self, url: str, visitor: Visitor, received: bytearray) -> str:
        """Reads the answer's body, following redirects on the same host; returns its content type."""
        from yarl import URL

        target = URL(url)
        headers = {"Accept": _ACCEPT, **visitor.headers}
        verification = visitor.verification()
        for _ in range(_MOST_REDIRECTS + 1):
            request = self._session.get().get(target, headers=headers, allow_redirects=False, **verification)
            async with request as response:
                location = response.headers.get("Location")
                if response.status // 100 != 3 or location is None:
                    await self._read_body(url, response, received)
                    return response.headers.get("Content-Type", "")
                target = _redirected(url, target, location)
        raise ScrapeError(f"GET {url}: more than {_MOST_REDIRECTS} redirects")

    async def _read_body(self, url: str, response: aiohttp.ClientResponse, received: bytearray) -> None:
        if response.status // 100 != 2:
            text = shorten((await response.content.read(1024)).decode("utf-8", "replace"))
            status = f"{response.status} {response.reason or ''}".strip()
            raise ScrapeError(f"GET {url}: {status}" + (f": {text}" if text else ""))
        async for chunk in response.content.iter_any():
            received += chunk
            if len(received) > self._limit:
                raise ScrapeError(f"GET {url}: the page is larger than {self._limit / _MEBIBYTE:g} MiB")


def _page(received: bytearray, content_type: str) -> Page:
    page = Page(decode(received), content_type)
    ensure_metrics(page)
    return page


def _redirected(url: str, target: URL, location: str) -> URL:
    """Where a redirect leads.

    Another host is never asked: it would be no metric of this workload, and learn the credentials; nor is
    anything sent in the clear that was not before.
    """
    from yarl import URL

    following = target.join(URL(location))
    if (following.host, following.port) != (target.host, target.port):
        raise ScrapeError(f"GET {url}: redirects to another host: {shorten(location)}")
    if following.scheme != target.scheme:
        raise ScrapeError(f"GET {url}: redirects to another scheme: {shorten(location)}")
    return following
