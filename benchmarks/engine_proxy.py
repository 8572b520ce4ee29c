"""Stands between a controller and the engine, and notes each request.

It is how the first engine call is seen as it leaves the controller: the engine's own events come only when a
call has ended, so they would charge the engine's work to the controller, and calls that change nothing have
no event at all. It adds one copy between two sockets to each call, some 0.1 ms.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any, Self

_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS) (\S+) HTTP/1\.[01]\r\n")
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What the controller asked, and when, by `time.perf_counter`."""

    instant: float
    method: str
    path: str

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method not in ("GET", "HEAD")


class EngineProxy:
    """Forwards one Unix socket to another within the block."""

    def __init__(self, engine: Path, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._requests: list[Request] = []
        self._noted = Condition()
        self._ready = Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="engine proxy", daemon=True)

    @property
    def url(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self._path}"

    def requests(self) -> list[Request]:
        """All so far."""
        with self._noted:
            return list(self._requests)

    def clear(self) -> None:
        """Forgets all so far."""
        with self._noted:
            self._requests.clear()

    def first(self, matches: Callable[[Request], bool], seconds: float = 30.0) -> Request:
        """The first request that matches, among those noted and to come. Raises TimeoutError."""
        with self._noted:
            found: list[Request] = []

            def look() -> bool:
                found[:] = filter(matches, self._requests)
                return bool(found)

            if not self._noted.wait_for(look, seconds):
                raise TimeoutError(f"no such request to the engine within {seconds:g} s")
            return found[0]

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        loop = self._loop
        server = loop.run_until_complete(asyncio.start_unix_server(self._serve, self._path))
        self._path.chmod(0o600)
        self._ready.set()
        loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(_ended(tasks))
        loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            with suppress(OSError):  # nobody listens there
                engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine)
                async with _closing(engine_writer):
                    await asyncio.gather(
                        _copy(reader, engine_writer, self._note),
                        _copy(engine_reader, writer, lambda _: None),
                    )

    def _note(self, piece: bytes) -> None:
        found = _REQUEST.match(piece)
        if found is None:
            return  # the rest of a request's body, or of an upgraded connection's stream
        request = Request(time.perf_counter(), found[1].decode(), found[2].decode())
        with self._noted:
            self._requests.append(request)
            self._noted.notify_all()


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None]
) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            look(piece)
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
