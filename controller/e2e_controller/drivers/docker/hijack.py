"""A request whose connection becomes a raw stream in both directions, as exec needs."""

import asyncio
import socket
from dataclasses import dataclass

from e2e_controller.drivers.docker.endpoint import Endpoint
from e2e_controller.drivers.docker.failures import EngineRefusal
from e2e_controller.drivers.docker.sockets import keep_alive

_READ_LIMIT = 256 * 1024
_FLUSH_POLL = 0.002


@dataclass(frozen=True, slots=True)
class Hijacked:
    """The stream, and the transport below TLS (the same where there is none)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    bottom: asyncio.WriteTransport

    async def write(self, data: bytes) -> None:
        """Waits while the other side does not read."""
        self.writer.write(data)
        await self.writer.drain()

    async def close_write(self) -> None:
        """Ends our direction; the other one goes on."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
            await self.writer.drain()
            return
        # TLS in asyncio has no half-close. The engine takes a bare end of the TCP stream as one, so wait
        # until all that was encrypted is sent, then end TCP below asyncio's back.
        self.writer.transport.set_write_buffer_limits(0)
        await self.writer.drain()
        while self.bottom.get_write_buffer_size() and not self.bottom.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(_FLUSH_POLL)
        self.bottom.get_extra_info("socket").shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """At once, whatever is still under way."""
        self.writer.transport.abort()


async def hijack(endpoint: Endpoint, path: str, body: bytes) -> Hijacked:
    """Connects, sends a POST with an upgrade, and returns the stream behind the answer's header.

    Raises `EngineRefusal`, OSError, or ValueError for an answer that is no HTTP.
    """
    stream = await _connect(endpoint)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {endpoint.host}\r\nUser-Agent: e2e\r\nConnection: Upgrade\r\n"
        f"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        await stream.write(head.encode() + body)
        status, length = await _read_head(stream.reader)
        if status not in (101, 200):
            raise EngineRefusal.from_answer(status, await stream.reader.read(length))
    except BaseException:
        stream.close()
        raise
    return stream


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and length of an HTTP answer."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.LimitOverrunError as error:
        raise ValueError("its HTTP header has no end") from error
    version, _, rest = head[0].partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ValueError(f"no HTTP: {head[0]!r}")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
    }
    length = fields.get("content-length", "")
    return int(rest[:3]), min(int(length) if length.isdigit() else _READ_LIMIT, _READ_LIMIT)


async def _connect(endpoint: Endpoint) -> Hijacked:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_READ_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    context = endpoint.ssl_context()
    top: asyncio.Transport
    if endpoint.socket_path:
        top, _ = await loop.create_unix_connection(lambda: protocol, endpoint.socket_path)
        return Hijacked(reader, asyncio.StreamWriter(top, protocol, reader, loop), top)
    if context is None:
        top, _ = await loop.create_connection(lambda: protocol, endpoint.host, endpoint.port)
        keep_alive(top.get_extra_info("socket"))
        return Hijacked(reader, asyncio.StreamWriter(top, protocol, reader, loop), top)
    bottom, _ = await loop.create_connection(asyncio.Protocol, endpoint.host, endpoint.port)
    keep_alive(bottom.get_extra_info("socket"))
    try:
        secured = await loop.start_tls(bottom, protocol, context, server_hostname=endpoint.host)
    except BaseException:
        bottom.abort()
        raise
    if secured is None:
        raise ConnectionResetError("the connection broke off during the TLS handshake")
    protocol.connection_made(secured)
    return Hijacked(reader, asyncio.StreamWriter(secured, protocol, reader, loop), bottom)
