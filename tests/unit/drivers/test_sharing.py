"""What is shared within the process: memory, calls, threads."""

import asyncio
import threading
from queue import SimpleQueue
from typing import Any
from unittest.mock import Mock

import pytest

from e2e_controller.drivers.base import DriverError, Key
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.threads import DaemonPool
from e2e_controller.flight import SingleFlight

KEY = Key("env", "Workload", "web")


class TestKnown:
    def test_a_newer_container_replaces_the_older_one(self) -> None:
        known = Known()
        known.learn("a", KEY, [1, 2])
        known.finish("a")
        known.learn("b", KEY, [3])
        assert known.key("a") is None
        assert known.key("b") == KEY
        assert known.ports == {3}
        assert not known.is_finished("a")

    def test_rivals_ask_for_one_port(self) -> None:
        known = Known()
        other = Key("env", "Workload", "other")
        known.learn("a", KEY, [80])
        known.learn("b", other, [80, 81])
        assert known.rival("a", 80) == other
        assert known.rival("a", 81) == other
        assert known.rival("b", 81) is None

    def test_forgets_all_of_it(self) -> None:
        known = Known()
        known.learn("a", KEY, [1])
        known.finish("a")
        known.forget_key(KEY)
        known.finish("a")
        assert (known.key("a"), known.ports, known.is_finished("a")) == (None, frozenset(), False)

    def test_an_old_end_does_not_hurt_the_new_one(self) -> None:
        """Events of the removed one may come late."""
        known = Known()
        known.learn("a", KEY)
        known.learn("b", KEY)
        known.forget("a")
        assert known.key("b") == KEY

    def test_who_was_killed(self) -> None:
        known = Known()
        assert not known.is_unkilled("a")
        known.started("a")
        assert known.is_unkilled("a")
        known.killed("a")
        assert not known.is_unkilled("a")
        known.started("a")
        known.events_missed()
        assert not known.is_unkilled("a")


class TestSingleFlight:
    async def test_one_call_for_all(self) -> None:
        flight: SingleFlight[str, int] = SingleFlight()
        calls, go = 0, asyncio.Event()

        async def call() -> int:
            nonlocal calls
            calls += 1
            await go.wait()
            return calls

        waiting = [asyncio.create_task(flight.run("a", call)) for _ in range(3)]
        other = asyncio.create_task(flight.run("b", call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert calls == 2
        waiting[0].cancel()
        go.set()
        assert await asyncio.gather(*waiting[1:], other) == [2, 2, 2]
        assert await flight.run("a", call) == 3

    async def test_the_last_to_leave_ends_it(self) -> None:
        flight: SingleFlight[str, None] = SingleFlight()
        ended = asyncio.Event()

        async def call() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        waiting = [asyncio.create_task(flight.run("a", call)) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        assert not ended.is_set()
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])
        await asyncio.wait_for(ended.wait(), 60)

    async def test_an_error_is_everybodys(self) -> None:
        flight: SingleFlight[str, None] = SingleFlight()

        async def call() -> None:
            await asyncio.sleep(0)
            raise DriverError("no")

        results = await asyncio.gather(*(flight.run("a", call) for _ in range(3)), return_exceptions=True)
        assert [str(result) for result in results] == ["no"] * 3


class TestDaemonPool:
    async def test_bounded_and_reused(self) -> None:
        pool = DaemonPool(3, "test")
        loop = asyncio.get_running_loop()
        names: set[str] = set()
        for _ in range(5):
            names |= set(
                await asyncio.gather(
                    *(loop.run_in_executor(pool, lambda: threading.current_thread().name) for _ in range(20))
                )
            )
        assert len(names) <= 3
        assert all(thread.daemon for thread in threading.enumerate() if thread.name in names)
        pool.shutdown()
        assert not [thread for thread in threading.enumerate() if thread.name in names]
        with pytest.raises(RuntimeError, match="closed"):
            pool.submit(int)

    async def test_errors_come_back(self) -> None:
        pool = DaemonPool(1, "test")

        def fail() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await asyncio.get_running_loop().run_in_executor(pool, fail)
        pool.shutdown()

    async def test_what_waits_can_be_dropped(self) -> None:
        pool, begun, go = DaemonPool(1, "test"), threading.Event(), threading.Event()
        first = pool.submit(lambda: begun.set() or go.wait(120))
        assert begun.wait(60)  # what its thread did not take yet is dropped, too
        second = pool.submit(int)
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
        assert second.cancelled()
        assert first.result(60)
        pool.shutdown()

    def test_a_thread_may_take_what_was_to_be_dropped(self) -> None:
        class Raced(SimpleQueue[Any]):
            def empty(self) -> bool:
                return False

        pool = DaemonPool(1, "test")
        pool._work = raced = Raced()
        pool.shutdown(cancel_futures=True)
        assert raced.qsize() == 0


async def test_what_blocks_for_long_takes_no_thread_from_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2e_controller.drivers.docker.engine._MARGIN", 60.0)
    engine, go = Engine("unix:///run/x.sock", 2, 60.0, None), threading.Event()
    engine._client = Mock()
    packing = [asyncio.create_task(engine.in_thread(lambda: go.wait(120))) for _ in range(20)]
    await asyncio.sleep(0)
    try:
        assert await engine.call("list", lambda _client: "answered") == "answered"
    finally:
        go.set()
        assert all(await asyncio.gather(*packing))
        await engine.close()
