"""docker-py's way to a Unix socket, mended; and connections that notice that nobody is there any more."""

import socket
from typing import Any, cast

from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds without a word, between two questions whether anybody is there, and how many of them."""


def keep_alive(connection: socket.socket) -> None:
    """A stream may be silent for long; without this, the end of a machine that vanished is never noticed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:  # some have other names elsewhere
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


class _Connection(UnixHTTPConnection):
    """docker-py's own leaves the socket open where it cannot connect."""

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(self.timeout)
            made.connect(self.unix_socket)
        except BaseException:
            made.close()
            raise
        self.sock = made


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        return _Connection(self.base_url, self.socket_path, cast("int", self.timeout))


class OnePoolAdapter(UnixHTTPAdapter):
    """docker-py's own keeps a pool for each URL, so nearly every call would open a connection."""

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # noqa: ARG002 - the library's signature
        """The one pool."""
        with self.pools.lock:
            pool = self.pools.get("")
            if pool is None:
                pool = _Pool("http+docker://localhost", self.socket_path, self.timeout, self.max_pool_size)
                self.pools[""] = pool
            return pool
