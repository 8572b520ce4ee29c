"""A Unix socket that tells whether the controller can do its work; `health.py` asks there."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from e2e_controller.health import WELL
from e2e_controller.server.unix_socket import UnixSocket


class HealthSocket:
    """Answers with a line, and closes."""

    def __init__(self, not_ready: Callable[[], str]) -> None:
        """`not_ready` gives the reason why the controller cannot do its work now, or nothing."""
        self._not_ready = not_ready

    async def start(self, path: Path) -> None:
        """Raises `ListenError`, OSError."""
        self._socket = UnixSocket(path)
        self._server = await asyncio.start_unix_server(self._answer, self._socket.temporary)
        self._socket.place()

    async def stop(self) -> None:
        """Stops listening."""
        self._server.close()
        self._socket.remove()

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(f"{self._not_ready() or WELL}\n".encode())
            await writer.drain()
        writer.close()
