"""The queue against a model that knows the time: delays, back-off, workers that are slow or cancelled."""

import asyncio

import looptime
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from e2e_controller.workqueue import BASE_DELAY, MAX_DELAY, WorkQueue

from .engine import soak

KEYS = st.sampled_from("abc")
DELAYS = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 4.0, 60.0])


class TimedQueue(RuleBasedStateMachine):
    """Model: what is owed now, what is in hands, and at what time each other key is due at the latest."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = looptime.patch_event_loop(asyncio.new_event_loop())
        self.queue: WorkQueue[str] = WorkQueue(jitter=lambda: 0.5)
        self.owed: set[str] = set()
        self.hands: set[str] = set()
        self.due: dict[str, float] = {}
        self.failures: dict[str, int] = {}

    def do(self, work: object) -> object:
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.owe(key)

    @rule(key=KEYS, delay=DELAYS)
    def add_after(self, key: str, delay: float) -> None:
        async def later() -> None:
            self.queue.add_after(key, delay)

        self.do(later())
        self.plan(key, delay)

    @rule(key=KEYS)
    def fails(self, key: str) -> None:
        async def later() -> float:
            return self.queue.add_rate_limited(key)

        delay = self.do(later())
        number = self.failures.get(key, 0)
        self.failures[key] = number + 1
        assert delay == min(BASE_DELAY * 2**number, MAX_DELAY)
        assert isinstance(delay, float)
        self.plan(key, delay)

    @rule(key=KEYS)
    def succeeds(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(seconds=st.sampled_from([0.1234567, 0.5432101, 3.1415926, 100.7654321]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))
        for key, due in list(self.due.items()):
            if due <= self.loop.time():
                self.owe(key)

    @rule()
    def take(self) -> None:
        if len(self.queue):
            key = self.do(self.queue.get())
            assert key in self.owed
            assert key not in self.hands
            self.owed.discard(str(key))
            self.hands.add(str(key))

    @rule()
    def a_worker_is_cancelled(self) -> None:
        async def begin_and_leave() -> None:
            worker = asyncio.create_task(self.queue.get())
            await asyncio.sleep(0)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

        if not len(self.queue):
            self.do(begin_and_leave())

    @rule(key=KEYS)
    def done(self, key: str) -> None:
        if key in self.hands:
            self.hands.discard(key)
            self.queue.done(key)

    def owe(self, key: str) -> None:
        self.due.pop(key, None)
        self.owed.add(key)

    def plan(self, key: str, delay: float) -> None:
        if delay <= 0:
            self.owe(key)
            return
        due = self.loop.time() + delay
        self.due[key] = min(due, self.due.get(key, due))

    @invariant()
    def hands_out_what_is_owed_and_free(self) -> None:
        assert len(self.queue) == len(self.owed - self.hands)
        assert self.queue.idle == (not self.owed and not self.hands)
        assert set(self.queue._timers) == set(self.due)

    def teardown(self) -> None:
        self.queue.close()
        self.loop.close()


TestTimedQueue = TimedQueue.TestCase
TestTimedQueue.settings = settings(max_examples=soak("EXAMPLES", 50), stateful_step_count=30, deadline=None)
