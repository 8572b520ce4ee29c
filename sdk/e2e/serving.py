"""Serves this process' metrics, and the controller's, to the containers of one environment alone."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, ip_address
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from e2e_api.errors import E2EError, Unavailable

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from e2e.addresses import Target

Page = Callable[[Mapping[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_POLL_SECONDS = 0.05
_REQUEST_SECONDS = 10.0
_ANY_PORT = 9


def local_address(subnet: str) -> str:
    """This machine's own address in a network. Raises Unavailable where it has none.

    On the engine's host that is the bridge's, in a container of the network the container's.
    """
    network = IPv4Network(subnet)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # to connect it sends nothing
        try:
            probe.connect((str(network[1]), _ANY_PORT))
            found = str(probe.getsockname()[0])
        except OSError as error:
            found = error.strerror or str(error)
    if not _is_in(found, network):
        raise Unavailable(
            f"this process has no address in the environment's network {subnet} ({found}), so nothing "
            "there can scrape it: it has to run on the engine's machine; `test_process=False` does without",
            reason="NotInNetwork",
        )
    return found


class MetricsServer:
    """An HTTP server in a thread of its own; closes for good.

    It answers peers of the network alone: not even this machine's own processes.
    """

    def __init__(self, subnet: str, pages: Mapping[str, Page]) -> None:
        """Serves at once. `pages` by path. Raises Unavailable where it cannot."""
        self._network = IPv4Network(subnet)
        self._own = local_address(subnet)
        self._pages = pages
        self._troubles: dict[str, str] = {}
        try:
            self._server = _Server((self._own, 0), _Handler)
        except OSError as error:
            raise Unavailable(f"cannot listen on {self._own}: {error.strerror or error}") from None
        self._server.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="e2e metrics", daemon=True
        )
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why pages could not be served at last; empty if all could."""
        return "; ".join(tuple(self._troubles.values()))  # at once: requests have threads of their own

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self._own}:{self._server.server_port}"

    def close(self) -> None:
        """Stops serving; a second call does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _answer(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        peer, path = str(environ["REMOTE_ADDR"]), str(environ["PATH_INFO"])
        if peer == self._own or not _is_in(peer, self._network):
            return _say(start_response, "403 Forbidden", f"only for containers of {self._network}\n")
        page = self._pages.get(path)
        if page is None:
            return _say(start_response, "404 Not Found", f"pages: {', '.join(self._pages)}\n")
        try:
            answer = page(environ, start_response)
        except Exception as error:  # a collector's, which is the user's code
            trouble = f"{path} of this process: {type(error).__name__}: {error}"
            self._troubles[path] = trouble
            return _say(start_response, "500 Internal Server Error", f"{trouble}\n")
        self._troubles.pop(path, None)
        return answer


def registry_page(registry: "CollectorRegistry | None") -> Page:
    """The page of a registry; None is the default one of prometheus_client."""
    import prometheus_client

    chosen = prometheus_client.REGISTRY if registry is None else registry
    application = prometheus_client.make_wsgi_app(chosen)

    def page(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        # In OpenMetrics, prometheus_client 0.26 takes the colons out of the names of samples.
        accepted = str(environ.get("HTTP_ACCEPT", "")).split(",")
        plain = ",".join(kind for kind in accepted if "openmetrics" not in kind)
        answer: Iterable[bytes] = application({**environ, "HTTP_ACCEPT": plain}, start_response)
        return answer

    return page


class ControllerPage:
    """The page of a controller's own metrics, over a connection of its own: any thread may ask."""

    def __init__(self, target: "Target") -> None:
        from e2e._sync.client import Client

        self._client = Client(target)

    def __call__(self, _: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        """Asks the controller."""
        try:
            text = self._client.controller_metrics()
        except E2EError as error:
            return _say(start_response, "502 Bad Gateway", f"{error}\n")
        return _say(start_response, "200 OK", text, _TEXT)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


def _say(start_response: Any, status: str, text: str, kind: str = "text/plain") -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def _is_in(address: str, network: IPv4Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:
        return False


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the name of the address, which a resolver may take long to find."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are nobody's concern."""


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, *_: object) -> None:
        """Says nothing: standard error is the test's."""
