"""Connections of aiohttp that end with their session; a module of its own, since that library loads late."""

import asyncio
from typing import Any
from weakref import WeakSet

import aiohttp


class Connector(aiohttp.TCPConnector):
    """The library's own leaves a connection with TLS to itself until the server says good-bye, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    async def connect(self, *arguments: Any, **options: Any) -> Any:
        """Remembers the connection."""
        connection = await super().connect(*arguments, **options)
        if connection.transport is not None:
            self._transports.add(connection.transport)
        return connection

    async def close(self, **options: Any) -> None:
        """Waits for no server."""
        await super().close(**options)
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)  # asyncio closes a socket at its next turn
