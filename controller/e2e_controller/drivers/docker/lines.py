"""Streams of JSON documents, one a line, as the engine sends events and progress."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

_LINE_LIMIT = 4 * 2**20


async def documents(
    response: "aiohttp.ClientResponse", silence: float | None
) -> AsyncIterator[dict[str, Any]]:
    """Each document as it arrives. Raises TimeoutError after `silence` seconds without any."""
    rest = b""
    while True:
        async with asyncio.timeout(silence):
            data = await response.content.readany()
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _LINE_LIMIT:
            raise ValueError("a line of the engine's answer has no end")
        for line in lines:
            if line.strip():
                yield _document(line)
    if rest.strip():
        yield _document(rest)


def _document(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError(f"no JSON object: {line[:100]!r}")
    return found
