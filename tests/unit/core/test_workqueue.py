"""The queue: a key is in one worker's hands at most, and no change is missed."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from e2e_controller.workqueue import MAX_DELAY, QueueClosed, WorkQueue


async def take(queue: WorkQueue[str]) -> str:
    return await asyncio.wait_for(queue.get(), 60)


async def test_equal_keys_are_handed_out_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_comes_again_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await take(queue) == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert queue.idle


async def test_a_waiting_worker_is_woken() -> None:
    queue: WorkQueue[str] = WorkQueue()
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(getting, 60) == "a"


async def test_a_cancelled_worker_passes_its_wake_up_on() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 60) == "a"


@pytest.mark.looptime
async def test_the_earliest_of_two_delays_counts(looptime: float) -> None:
    loop = asyncio.get_running_loop()
    queue: WorkQueue[str] = WorkQueue()
    began = loop.time()
    queue.add_after("a", 10)
    queue.add_after("a", 3)
    queue.add_after("a", 5)
    assert await queue.get() == "a"
    assert loop.time() - began == pytest.approx(3, abs=0.01)
    queue.done("a")
    await asyncio.sleep(20)
    assert len(queue) == 0


@pytest.mark.looptime
async def test_adding_now_cancels_the_delay() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 5)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    await asyncio.sleep(10)
    assert len(queue) == 0


@pytest.mark.looptime
async def test_failures_back_off_and_forget_resets() -> None:
    queue: WorkQueue[str] = WorkQueue(jitter=lambda: 0.5)
    delays = [queue.add_rate_limited("a") for _ in range(12)]
    assert delays[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert delays[-1] == MAX_DELAY
    assert queue.failures("a") == 12
    queue.forget("a")
    assert queue.add_rate_limited("a") == pytest.approx(0.1)


async def test_jitter_spreads_delays_by_a_quarter() -> None:
    lowest, highest = WorkQueue[str](jitter=lambda: 0.0), WorkQueue[str](jitter=lambda: 1.0)
    assert lowest.add_rate_limited("a") == pytest.approx(0.075)
    assert highest.add_rate_limited("a") == pytest.approx(0.125)
    lowest.close()
    highest.close()


async def test_groups_take_turns() -> None:
    queue: WorkQueue[str] = WorkQueue(group=lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1", "a4", "c1", "b2"):
        queue.add(key)
    assert [await queue.get() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_close_ends_waiting_workers_and_drops_what_waits() -> None:
    queue: WorkQueue[str] = WorkQueue()
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(QueueClosed):
        await asyncio.wait_for(getting, 60)
    queue.add("a")
    with pytest.raises(QueueClosed):
        await queue.get()


def take_now(queue: WorkQueue[str]) -> str:
    """What `get` gives where it has nothing to wait for; no event loop needed."""
    try:
        queue.get().send(None)
    except StopIteration as stop:
        key: str = stop.value
        return key
    raise AssertionError("it waited")


class QueueMachine(RuleBasedStateMachine):
    """Against a model: what was added is handed out again later, and never to two at once."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: WorkQueue[str] = WorkQueue()
        self.owed: set[str] = set()  # added since it was last handed out
        self.working: set[str] = set()

    keys = st.sampled_from("abcd")

    @rule(key=keys)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.owed.add(key)

    @rule()
    def get(self) -> None:
        if len(self.queue):
            key = take_now(self.queue)
            assert key in self.owed
            assert key not in self.working
            self.owed.discard(key)
            self.working.add(key)

    @rule(key=keys)
    def done(self, key: str) -> None:
        if key in self.working:
            self.working.discard(key)
            self.queue.done(key)

    @invariant()
    def ready_is_what_is_owed_and_free(self) -> None:
        assert len(self.queue) == len(self.owed - self.working)
        assert self.queue.idle == (not self.owed and not self.working)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
