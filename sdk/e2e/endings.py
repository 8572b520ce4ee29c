"""What ends an interactive run: signals that ask a process to end, and an address that somebody requests."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from e2e_api.errors import Conflict, InvalidArgument

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HOST = "127.0.0.1"
_NOTICED_SECONDS = 0.05
_MOST_PORTS = 65535

Tell = Callable[[], None]


def in_main_thread() -> bool:
    """Whether signals can be caught here."""
    return threading.current_thread() is threading.main_thread()


def announce(text: str) -> None:
    """Tells the user."""
    print(text, flush=True)  # noqa: T201


@contextmanager
def signals(tell: Tell) -> Iterator[None]:
    """Within the block, SIGINT, SIGTERM and a terminal's end (SIGHUP) call `tell`, and do nothing else.

    Only in the main thread; `tell` must not take locks, as it may interrupt anything.
    """

    def arrived(_number: int, _frame: FrameType | None) -> None:
        tell()

    numbers = list(_SIGNALS)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` asks for
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, arrived) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Says nothing of clients that hang up."""


class Endpoint:
    """An address on this machine alone; `tell` is called when somebody requests it.

    Its path has a name in it, so that what browsers request on their own, such as `/favicon.ico`, is no hit.
    """

    def __init__(self, environment: str, port: int, tell: Tell) -> None:
        """Listens. Raises Conflict for a port that is taken, and InvalidArgument for what is none."""
        if not 0 <= port <= _MOST_PORTS:
            raise InvalidArgument(f"port: expected 0 to {_MOST_PORTS}, not {port}")
        path = f"/end-{environment}"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hit = self.path.partition("?")[0] == path
                self._answer(200 if hit else 404, f"environment {environment} ends" if hit else path)
                if hit:
                    tell()

            def _answer(self, status: int, text: str) -> None:
                body = f"{text}\n".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        try:
            self._server = _Server((_HOST, port), Handler)
        except OSError as error:
            raise Conflict(f"port {port} cannot be listened on: {error.strerror or error}") from error
        self.url = f"http://{_HOST}:{self._server.server_port}{path}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_NOTICED_SECONDS,), name="e2e-endpoint", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
