"""The way to the engine by asyncio; a module of its own, since its library takes long to load."""

import socket

import aiohttp

from e2e_controller.connector import Connector
from e2e_controller.drivers.docker.endpoint import Endpoint
from e2e_controller.drivers.docker.sockets import keep_alive


def open_session(endpoint: Endpoint, connect_timeout: float) -> aiohttp.ClientSession:
    """A session towards the engine, with no limit of connections; each request has one of its own."""
    connector: aiohttp.BaseConnector
    if endpoint.socket_path:
        connector = aiohttp.UnixConnector(endpoint.socket_path, limit=0, force_close=True)
    else:
        connector = Connector(
            ssl=endpoint.ssl_context() or True, limit=0, force_close=True, socket_factory=_open_socket
        )
    return aiohttp.ClientSession(
        base_url=endpoint.http_url,
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
        auto_decompress=False,
    )


def _open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    opened = socket.socket(*address[:3])
    keep_alive(opened)
    return opened
