"""The engine's format for output of processes: frames of an 8-byte header and data."""

import struct
from collections.abc import AsyncGenerator
from typing import Protocol

from e2e_controller.drivers.base import Output

_HEADER = struct.Struct(">BxxxL")
_PIECE = 64 * 1024
_STDERR = 2


class Reader(Protocol):
    """What asyncio's and aiohttp's stream readers have in common."""

    async def read(self, n: int = -1, /) -> bytes:
        """At most `n` bytes; none at the end."""


async def outputs(reader: Reader) -> AsyncGenerator[Output, None]:
    """Pieces of output in the order of their arrival, none larger than 64 KiB."""
    while header := await _exactly(reader, _HEADER.size):
        kind, length = _HEADER.unpack(header)
        while length and (data := await reader.read(min(length, _PIECE))):
            length -= len(data)
            yield Output("stderr" if kind == _STDERR else "stdout", data)
        if length:
            return


async def _exactly(reader: Reader, count: int) -> bytes:
    """So many bytes, or none where the stream ends before."""
    found = b""
    while len(found) < count:
        data = await reader.read(count - len(found))
        if not data:
            return b""
        found += data
    return found
