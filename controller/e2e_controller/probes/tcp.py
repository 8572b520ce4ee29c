"""Readiness by a TCP connection."""

import asyncio
import socket
from contextlib import suppress

from e2e_controller.httpclient import explain_os_error
from e2e_controller.probes.checks import Answer, PolledCheck, Target

SETTLE = 0.2
"""Seconds that a proxied connection must stay open. The engine's proxy accepts before it tries the program,
and closes within a few milliseconds where that refuses; the rest is for a machine under load."""
_LOOKS = 10
"""How often it is looked at meanwhile: a machine that stops for longer skips one look, not all."""


class TcpCheck(PolledCheck):
    """Connects, and closes again."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.request = f"connect to {target}"
        self._target = target
        self._settle = min(SETTLE, timeout / 2)

    async def attempt(self) -> Answer:
        """Ready when the program itself accepts."""
        try:
            with await connect(self._target) as connection:
                if self._target.proxied and await _closed_soon(connection, self._settle):
                    return Answer(False, "connection closed at once: the program does not listen yet")
        except OSError as error:
            return Answer(False, explain_os_error(error))
        return Answer(True, "connected")


async def connect(target: Target) -> socket.socket:
    """An open, non-blocking connection. Raises OSError."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (target.host, target.port))
        if connection.getsockname() == connection.getpeername():
            # The kernel picked the very port as our own end, and connected us with ourselves.
            raise ConnectionRefusedError(111, "connection refused")
    except BaseException:
        connection.close()
        raise
    return connection


async def _closed_soon(connection: socket.socket, settle: float) -> bool:
    for _ in range(_LOOKS):
        with suppress(TimeoutError):
            async with asyncio.timeout(settle / _LOOKS):
                # A program that speaks first, as mail servers do, is there for certain.
                return not await asyncio.get_running_loop().sock_recv(connection, 1)
    return False
