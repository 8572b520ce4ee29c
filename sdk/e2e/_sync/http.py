"""Requests to programs in workloads: bounded in size and time, with typed errors.

httpx is imported when the first is made: it would cost each test's start 0.2 s.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from e2e_api.errors import E2EError, InvalidArgument, LimitExceeded, NotFound, Unavailable, WaitTimeout

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 * 2**20
_VERIFY = False
_WORDS_BYTES = 4096
_MOST_WORDS = 300


def new_client() -> httpx.Client:
    """A client for workloads: no proxy stands before them, and their certificates are their own."""
    import httpx

    return httpx.Client(trust_env=False, verify=_VERIFY)


def get(
    client: httpx.Client,
    url: str,
    *,
    params: Mapping[str, Any] | None = None,
    seconds: float,
    most_bytes: int = MOST_BYTES,
    read: Collection[int] = (),
) -> bytes:
    """The whole answer to a GET.

    Args:
        client: `new_client()`.
        url: what is asked for.
        params: of its query.
        seconds: how long it may take; a server that never falls silent gets up to twice the time.
        most_bytes: the longest answer.
        read: codes other than 200 whose answer is given, too, rather than raised.

    Raises WaitTimeout, Unavailable where nobody answers or the program has trouble of its own, NotFound for
    404, InvalidArgument for what else it refuses, with its words, and LimitExceeded.
    """
    import httpx

    deadline = time.monotonic() + seconds
    limit = httpx.Timeout(max(seconds, 0.001))
    try:
        with client.stream("GET", url, params=params, timeout=limit) as response:
            is_read = response.status_code in (httpx.codes.OK, *read)
            content = _content(response, deadline, most_bytes, is_read=is_read)
    except httpx.TimeoutException:
        raise WaitTimeout(f"{url} did not answer within {seconds:g} s", reason="Timeout") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = str(error) or type(error).__name__
        raise Unavailable(f"{url} does not answer: {said}", reason="NoAnswer") from None
    if not is_read:
        raise _refusal(url, response.status_code, content)
    return content


def _content(response: httpx.Response, deadline: float, most_bytes: int, *, is_read: bool) -> bytes:
    """The body; of an error's as much as is told."""
    import httpx

    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if not is_read and len(content) > _WORDS_BYTES:
            break
        if len(content) > most_bytes:
            raise LimitExceeded(f"{response.url} answers with more than {most_bytes / 2**20:g} MiB")
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("it does not come to an end")
    return bytes(content)


def _refusal(url: str, code: int, content: bytes) -> E2EError:
    import httpx

    words = " ".join(content[:_WORDS_BYTES].decode("utf-8", "replace").split())[:_MOST_WORDS]
    message = f"{url} answers with {code}" + (f": {words}" if words else "")
    if code == httpx.codes.NOT_FOUND:
        return NotFound(message)
    if httpx.codes.is_client_error(code):
        return InvalidArgument(message, reason="Refused")
    return Unavailable(message, reason="NoAnswer")
