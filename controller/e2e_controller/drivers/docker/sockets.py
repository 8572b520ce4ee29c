"""docker-py's way to a Unix socket, mended."""

import socket
from typing import Any, cast

from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool


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
