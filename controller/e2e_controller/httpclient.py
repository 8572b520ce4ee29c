"""What scraping and probing share of HTTP: one lazily opened session, and errors put into words.

aiohttp is imported when the first request is made: it would cost the controller's start 0.2 s.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

_NO_TLS = ("wrong version number", "packet length too long", "record layer failure")
"""What OpenSSL, in one version or another, calls an answer that is none of TLS."""


class LazySession:
    """One aiohttp session, opened by the first who asks.

    Certificates are verified only where a request says how; cookies are not kept.
    """

    def __init__(self, *, keep_alive: bool) -> None:
        self._keep_alive = keep_alive
        self._session: aiohttp.ClientSession | None = None

    def get(self) -> aiohttp.ClientSession:
        """The session; callers bound the time of each request themselves."""
        if self._session is None:
            import aiohttp

            from e2e_controller.connector import Connector

            connector = Connector(
                ssl=False, limit=0, force_close=not self._keep_alive, happy_eyeballs_delay=None
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
                headers={"User-Agent": "e2e", "Accept-Encoding": "identity"},
                max_line_size=8190,
                max_field_size=8190,
                max_headers=128,
            )
        return self._session

    async def aclose(self) -> None:
        """Closes the session, if it was opened."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def explain(error: Exception) -> str:
    """A failed request in a few words, such as `connection refused`."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"no such host: {error.host}"
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            return f"TLS handshake failed: {_tls_reason(error.os_error)}"
        case aiohttp.ClientConnectorError():
            return explain_os_error(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "connection closed without an answer"
        case aiohttp.ClientPayloadError():
            return f"the answer broke off: {_first_line(error)}"
        case aiohttp.ClientResponseError():
            return f"not an HTTP answer: {_first_line(error.message)}"
        case OSError():
            return explain_os_error(error)
    return _first_line(error) or type(error).__name__


def _tls_reason(error: OSError) -> str:
    if verification := getattr(error, "verify_message", ""):
        return f"the certificate is not trusted: {verification.rstrip('.')}"
    reason = (getattr(error, "reason", None) or str(error)).replace("_", " ").lower()
    return f"{reason}: the port may not speak TLS" if reason in _NO_TLS else reason


def explain_os_error(error: OSError) -> str:
    """The system's own words for an error number, without the address, such as `connection refused`."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def shorten(text: str, length: int = 200) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 3] + "..."


def _first_line(value: object) -> str:
    return shorten(str(value).partition("\n")[0])
