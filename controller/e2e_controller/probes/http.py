"""Readiness by an HTTP request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from e2e_api.manifests import HttpProbe
from e2e_controller.httpclient import LazySession, explain, shorten
from e2e_controller.probes.checks import Answer, PolledCheck, Target
from e2e_controller.probes.tcp import connect

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_BODY_LIMIT = 2**20
_EVIDENCE_LIMIT = 1024
_EVIDENCE_TIME = 0.1
"""Seconds to wait for the body of an answer whose status says no already."""


class HttpCheck(PolledCheck):
    """GETs a path over a new connection each time, as clients to come will. Redirects are not followed."""

    def __init__(self, target: Target, probe: HttpProbe, session: LazySession) -> None:
        self._target = target
        self._refused = False
        self._address = f"{probe.scheme.lower()}://{target}{probe.path}"
        self.request = f"GET {self._address}"
        self._probe = probe
        self._session = session
        self._url: URL | None = None
        self._missing = tuple(text.encode() for text in probe.contains)

    async def attempt(self) -> Answer:
        """Ready when the status is in the range and the body has all texts."""
        import aiohttp

        try:
            if self._refused:
                # While nothing listens, a bare connection tells so at a third of a request's cost.
                (await connect(self._target)).close()
                self._refused = False
            if self._url is None:
                from yarl import URL

                self._url = URL(self._address)
            request = self._session.get().get(
                self._url, headers=self._probe.headers or None, allow_redirects=False
            )
            async with request as response:
                return await self._judge(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._refused = isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError)
            return Answer(False, explain(error))

    async def _judge(self, response: aiohttp.ClientResponse) -> Answer:
        status = f"{response.status} {response.reason or ''}".strip()
        if not self._probe.status_min <= response.status <= self._probe.status_max:
            body = await _evidence(response)
            return Answer(False, f"{status}: {body}" if body else status)
        if not self._missing:
            return Answer(True, status)
        missing, body = await self._search(response)
        if not missing:
            return Answer(True, status)
        return Answer(False, f"{status}: the body does not contain {missing!r}: {body}")

    async def _search(self, response: aiohttp.ClientResponse) -> tuple[str, str]:
        """The first text that the body does not have, and the body's beginning. Reads no more than needed."""
        body = bytearray()
        missing = self._missing
        async for chunk in response.content.iter_any():
            before = len(body)
            body += chunk
            missing = tuple(text for text in missing if body.find(text, max(0, before - len(text))) < 0)
            if not missing or len(body) >= _BODY_LIMIT:
                break
        return (missing[0].decode() if missing else ""), _text(bytes(body[:_EVIDENCE_LIMIT]))


async def _evidence(response: aiohttp.ClientResponse) -> str:
    try:
        async with asyncio.timeout(_EVIDENCE_TIME):
            return _text(await response.content.read(_EVIDENCE_LIMIT))
    except TimeoutError:
        return ""


def _text(body: bytes) -> str:
    return shorten(body.decode("utf-8", "replace"))
