"""Things that stand between the driver and the engine, or in the engine's place, and misbehave."""

import asyncio
import os
import select
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread

from e2e_controller.drivers.docker.endpoint import find_endpoint

ENGINE_SOCKET = find_endpoint(None, os.environ).socket_path
"""Of the engine that the suite runs on; "" where it is on TCP, and then nothing can stand in between."""
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Proxy:
    """Passes on what it is sent, until it is cut."""

    def __init__(self, target: str = ENGINE_SOCKET) -> None:
        self.connections = 0
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            there, onward = await asyncio.open_unix_connection(self._target)
            with suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(_pump(reader, onward), _pump(there, writer))
            onward.transport.abort()
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._tasks)

    def cut(self) -> None:
        """Breaks all connections."""
        for task in tuple(self._tasks):
            task.cancel()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()


class _Connections:
    """Those that a server has accepted."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await self._serve(reader, writer)

    async def end(self, server: asyncio.Server) -> None:
        """Leaves nothing that would be closed only when the loop is: then nobody is there to do it."""
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        closed = (writer.wait_closed() for writer in self._writers)
        await asyncio.wait_for(asyncio.gather(*closed, return_exceptions=True), 30)


@asynccontextmanager
async def unix_server(path: Path, serve: Serve) -> AsyncIterator[str]:
    """Serves on a socket; gives its URL."""
    connections = _Connections(serve)
    server = await asyncio.start_unix_server(connections.serve, str(path))
    try:
        yield f"unix://{path}"
    finally:
        await connections.end(server)


@asynccontextmanager
async def tcp_server(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serves on loopback; gives its URL."""
    connections = _Connections(serve)
    server = await asyncio.start_server(connections.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await connections.end(server)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, and never answers."""
    while await reader.read(65536):
        pass
    writer.close()


def answer(data: bytes) -> Serve:
    """Answers each request with the same bytes, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(data)
            await writer.drain()
        writer.close()

    return serve


@contextmanager
def tls_proxy(context: ssl.SSLContext, target: str = ENGINE_SOCKET) -> Iterator[str]:
    """Passes on between TLS and the engine's socket; in threads, since asyncio's TLS has no half-close."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            Thread(target=_serve_tls, args=(plain, context, target), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _serve_tls(plain: socket.socket, context: ssl.SSLContext, target: str) -> None:
    with suppress(OSError), plain, socket.socket(socket.AF_UNIX) as onward:
        onward.connect(target)
        with context.wrap_socket(plain, server_side=True) as near:
            near.settimeout(0)
            lock = Lock()  # one TLS connection may not be read and written at the same time
            sending = Thread(target=_from_tls, args=(near, onward, lock), daemon=True)
            sending.start()
            while data := onward.recv(65536):
                _send_tls(near, data, lock)
            near.settimeout(1)


def _from_tls(near: ssl.SSLSocket, onward: socket.socket, lock: Lock) -> None:
    with suppress(OSError, ValueError):
        while True:
            try:
                with lock:
                    data = near.recv(65536)
            except ssl.SSLWantReadError:
                select.select([near], [], [], 0.1)
                continue
            if not data:
                onward.shutdown(socket.SHUT_WR)
                return
            onward.sendall(data)


def _send_tls(near: ssl.SSLSocket, data: bytes, lock: Lock) -> None:
    while data:
        try:
            with lock:
                data = data[near.send(data) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            select.select([], [near], [], 0.1)
