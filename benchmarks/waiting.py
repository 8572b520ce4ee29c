"""How long after an event a waiter is told of it."""

import random
import time
from collections.abc import Callable
from threading import Thread

from benchmarks.bench import WAIT_SECONDS

_JITTER = 0.2


class Waiting:
    """A wait in a thread of its own, and the instant at which it returned or raised what is expected."""

    def __init__(self, wait: Callable[[], object], expected: type[Exception] | None = None) -> None:
        self._wait = wait
        self._expected = expected
        self._failure: Exception | None = None
        self._told = 0.0
        self._wall = 0.0
        # A daemon: an interrupted run does not wait for it.
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def told(self, seconds: float = WAIT_SECONDS) -> float:
        """The instant, of `time.perf_counter`. Raises what the wait raised, and TimeoutError."""
        self._thread.join(seconds)
        if self._failure is not None:
            raise self._failure
        if not self._told:
            raise TimeoutError(f"nobody was told within {seconds:g} s")
        return self._told

    @property
    def wall(self) -> float:
        """The same instant, of `time.time`, to compare with what the kernel or the engine wrote down."""
        return self._wall

    def _run(self) -> None:
        try:
            self._wait()
            if self._expected is not None:
                self._failure = AssertionError(f"the wait did not raise {self._expected.__name__}")
        except Exception as error:
            if self._expected is None or not isinstance(error, self._expected):
                self._failure = error
        self._told, self._wall = time.perf_counter(), time.time()


def rest(seconds: float) -> None:
    """Sleeps a bit longer than that, never twice the same: no event may keep step with somebody's polling."""
    time.sleep(seconds + random.uniform(0, _JITTER))
