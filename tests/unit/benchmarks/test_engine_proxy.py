"""The proxy in front of a small server that stands in for the engine."""

import asyncio
import contextlib
import http.client
import socket
import tempfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Event, Thread

import pytest

from benchmarks.engine_proxy import EngineProxy


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(self.path.encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        pass


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        yield Path(directory)


@pytest.fixture
def proxy(folder: Path) -> Iterator[EngineProxy]:
    with ThreadingUnixStreamServer(str(folder / "engine"), Answers) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with EngineProxy(folder / "engine", folder / "proxy") as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def ask(path: Path, *requests: tuple[str, str, bytes | None]) -> list[bytes]:
    with contextlib.closing(UnixConnection(path)) as connection:
        answers = []
        for method, target, body in requests:
            connection.request(method, target, body)
            answers.append(connection.getresponse().read())
        return answers


def test_requests_are_forwarded_and_noted(proxy: EngineProxy, folder: Path) -> None:
    body = b"GET /not-a-request HTTP/1.1" * 10_000
    before = time.perf_counter()
    answers = ask(folder / "proxy", ("GET", "/one", None), ("POST", "/containers/create?name=x", body))
    after = time.perf_counter()
    assert answers == [b"/one", body]
    noted = [(request.method, request.path, request.writes) for request in proxy.requests()]
    assert noted == [("GET", "/one", False), ("POST", "/containers/create?name=x", True)]
    assert all(before <= request.instant <= after for request in proxy.requests())
    proxy.clear()
    assert proxy.requests() == []


def test_the_first_that_matches_may_come_later(proxy: EngineProxy, folder: Path) -> None:
    ask(folder / "proxy", ("GET", "/one", None))
    later = Thread(target=ask, args=(folder / "proxy", ("GET", "/two", None)))
    later.start()
    assert proxy.first(lambda request: request.path == "/two", 60).method == "GET"
    later.join()
    with pytest.raises(TimeoutError):
        proxy.first(lambda request: request.path == "/three", 0)


def test_it_is_reachable_for_its_owner_only(proxy: EngineProxy, folder: Path) -> None:
    assert (folder / "proxy").stat().st_mode & 0o777 == 0o600
    assert proxy.url == f"unix://{folder}/proxy"


def test_without_an_engine_the_connection_ends(folder: Path) -> None:
    with EngineProxy(folder / "nobody", folder / "proxy"), pytest.raises(ConnectionError):
        ask(folder / "proxy", ("GET", "/one", None))


def test_its_end_closes_what_waits_for_the_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Event()

    async def never(_: Path) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_unix_connection", never)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        with EngineProxy(folder / "nobody", folder / "proxy"):
            client.connect(str(folder / "proxy"))
            assert asked.wait(60)
        assert client.recv(1) == b""
