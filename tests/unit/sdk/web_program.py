"""A program that answers HTTP as it is told, as the workload whose controller is fake."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from .fake_controller import FakeController, ready_object

Answer = Callable[[str, dict[str, str]], bytes | tuple[int, bytes]]
"""Path and query to the body, or status code and body."""


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Gives its `host:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            said = answer(url.path, dict(parse_qsl(url.query)))
            code, body = said if isinstance(said, tuple) else (200, said)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the server's name for it

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def runs_at(controller: FakeController, name: str, address: str) -> None:
    """The controller says that the workload of environment `env` has its port `http` there."""
    endpoints = [{"port": "http", "internal": f"{name}:80", "external": address, "protocol": "tcp"}]
    controller.objects["env", "Workload", name] = ready_object("env", name, endpoints=endpoints)
