"""A proxy before the real engine answers 500, hangs, closes in mid-answer, cuts events; all converges."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from tests.contract.proxies import ENGINE_SOCKET, Proxy, unix_server

from .engine import TIMEOUT, Controller, Engine, chances, soak, until, workload

Record = Callable[[str, object], None]
NUMBER = 5
ERROR = b'{"message":"the engine had a bad day"}'
ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"

pytestmark = pytest.mark.timeout(TIMEOUT)


class BadEngine(Proxy):
    """Passes on, but for some connections, chosen by the dice while there is trouble left."""

    def __init__(self, dice: Random, trouble: int) -> None:
        super().__init__()
        self.done: dict[str, int] = {}
        self.trouble = trouble
        self._dice = dice

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.trouble or self._dice.random() > 0.6:
            await super().serve(reader, writer)
            return
        self.trouble -= 1
        kind = self._dice.choice(["500", "hang", "close", "cut"])
        self.done[kind] = self.done.get(kind, 0) + 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._misbehave(kind, reader, writer)
        finally:
            writer.transport.abort()

    async def _misbehave(self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "cut":
            self.cut()  # events too
            return
        await reader.readuntil(b"\r\n\r\n")
        if kind == "hang":
            await asyncio.sleep(self._dice.uniform(0.5, 4))
        length = len(ERROR) + (100 if kind == "close" else 0)
        writer.write(ANSWER + f"Content-Length: {length}\r\n\r\n".encode() + ERROR)
        await writer.drain()
        await asyncio.sleep(0.05)


@contextmanager
def served(bad: BadEngine, path: Path) -> Iterator[str]:
    """Serves in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()

    async def serve() -> None:
        async with unix_server(path, bad.serve):
            ready.set()
            await stop.wait()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await asyncio.sleep(0.1)  # their transports are closed by the loop

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(60)
    try:
        yield f"unix://{path}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


@pytest.mark.skipif(not ENGINE_SOCKET, reason="the engine is on TCP, where nothing can stand before it")
def test_an_engine_that_misbehaves(base: Path, engine: Engine, record_property: Record) -> None:
    bad = BadEngine(chances(record_property), 0)
    with served(bad, base / "engine.sock") as url:
        controller = Controller(base, url, engine_timeout="5s", resync_interval="3s", rescan_interval="1s")
        controller.start()
        owner = controller.identity
        try:
            bad.trouble = soak("TROUBLE", 15)
            environment = controller.environment
            controller.write("all.json", *(workload(f"w{n}", environment) for n in range(NUMBER)))
            until(lambda: controller.is_true("Ready", NUMBER), "all are ready", controller.log)
            changed = [workload(f"w{n}", environment, env={"A": "1"}) for n in range(NUMBER)]
            controller.write("all.json", *changed)
            bad.trouble += soak("TROUBLE", 15)

            def is_changed() -> bool:  # until the file is read, all are ready as they were
                there = engine.containers(owner)
                new = [name for name in there if engine.has_variable(name, "A=1")]
                return len(new) == len(there) == NUMBER and controller.is_true("Ready", NUMBER)

            until(is_changed, "all are ready again", controller.log)
            (controller.folder / "all.json").unlink()
            until(lambda: not engine.left(owner, controller.whole_log()), "nothing is left", controller.log)
            record_property("faults", f"an engine that misbehaves: {bad.done}")
            assert bad.done
        finally:
            controller.stop()
            engine.remove(owner)
