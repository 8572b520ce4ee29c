"""The way to the engine by asyncio; a module of its own, since its library takes long to load."""

import aiohttp

from e2e_controller.drivers.docker.endpoint import Endpoint


def open_session(endpoint: Endpoint, connect_timeout: float) -> aiohttp.ClientSession:
    """A session towards the engine, with no limit of connections; each request has one of its own."""
    connector: aiohttp.BaseConnector
    if endpoint.socket_path:
        connector = aiohttp.UnixConnector(endpoint.socket_path, limit=0, force_close=True)
    else:
        connector = aiohttp.TCPConnector(ssl=endpoint.ssl_context() or True, limit=0, force_close=True)
    return aiohttp.ClientSession(
        base_url=endpoint.http_url,
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
        auto_decompress=False,
    )
