"""One workload that is watched: its state, and the task that asks."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from e2e_api.manifests import Readiness
from e2e_api.quantities import format_duration
from e2e_controller.drivers.base import Container
from e2e_controller.httpclient import shorten
from e2e_controller.probes.checks import Answer, Check, PolledCheck
from e2e_controller.probes.schedule import deadline, pause

logger = logging.getLogger(__name__)

TELL_INTERVAL = 0.5
"""Seconds between two tellings of what comes back while it is not ready; most starts are over before."""

Attempted = Callable[[float, bool], None]
"""Is given how many seconds an attempt took, and whether the answer was: ready."""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What is known of a container's readiness."""

    container_id: str
    ready: bool
    timed_out: bool
    """`startupTimeout` passed without its ever being ready."""
    request: str
    """What is asked."""
    answer: str
    """What came back last; empty before the first attempt ended."""
    time: datetime | None
    """When that was."""
    attempts: int
    consecutive_failures: int

    @property
    def succeeded(self) -> bool:
        """Whether the last attempt did: what is ready stays so for a few that do not."""
        return self.attempts > 0 and self.consecutive_failures == 0


class Watched:
    """Asks until stopped.

    `changed` is called when `ready` or `timed_out` flips, and only then; `answered` now and then, when it is
    not ready and another answer came than the one told of before. `crowd` tells how many are hurried.
    """

    def __init__(
        self,
        container: Container,
        readiness: Readiness,
        check: Check,
        changed: Callable[[], None],
        answered: Callable[[], None],
        now: Callable[[], datetime],
        attempted: Attempted,
        crowd: Callable[[], int],
    ) -> None:
        self.check = check
        self._container = container
        self._readiness = readiness
        self._changed = changed
        self._answered = answered
        self._now = now
        self._attempted = attempted
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        self._ready = False
        self._ever_ready = False
        self._timed_out = False
        self._answer: Answer | None = None
        self._time: datetime | None = None
        self._attempts = 0
        self._failures = 0
        self._told = ""
        seen = self._loop.time()
        age = (now() - container.started_at).total_seconds() if container.started_at else 0.0
        self._unready_since = seen - max(age, 0.0)
        self._told_at = self._unready_since
        at = deadline(readiness, started=self._unready_since, seen=seen)
        self._timer = self._loop.call_at(at, self._expire)
        self.task = asyncio.create_task(self._run(), name=f"probe {container.key}")

    @property
    def report(self) -> ProbeReport:
        """The state now."""
        answer = self._answer if isinstance(self.check, PolledCheck) else self.check.look()
        return ProbeReport(
            container_id=self._container.id,
            ready=self._ready,
            timed_out=self._timed_out,
            request=self.check.request,
            answer=answer.text if answer else "",
            time=self._time,
            attempts=self._attempts,
            consecutive_failures=self._failures,
        )

    @property
    def is_hurried(self) -> bool:
        """Whether it is asked for again and again, until it is ready."""
        return not self._ready and not self._timed_out and isinstance(self.check, PolledCheck)

    def stop(self) -> None:
        """Ends the task."""
        self._timer.cancel()
        self.task.cancel()

    def tell(self) -> None:
        """A pushed check has a new answer. Its source has judged already: no threshold."""
        if not isinstance(self.check, PolledCheck):
            self._record(self.check.look(), threshold=1)

    async def _run(self) -> None:
        if isinstance(self.check, PolledCheck):
            await self._poll(self.check)
        else:
            self.tell()
            await self.check.follow(self.tell)

    async def _poll(self, check: PolledCheck) -> None:
        while True:
            began = self._loop.time()
            answer = await self._attempt(check)
            cost = self._loop.time() - began
            self._attempted(cost, answer.ready)
            self._record(answer, threshold=self._readiness.failure_threshold)
            now = self._loop.time()
            await asyncio.sleep(
                pause(
                    self._readiness,
                    ready=self._ready,
                    failures=self._failures,
                    waited=now - self._unready_since,
                    rest=cost * check.rest,
                    crowd=self._crowd(),
                    now=now,
                )
            )

    async def _attempt(self, check: PolledCheck) -> Answer:
        try:
            async with asyncio.timeout(self._readiness.timeout):
                return await check.attempt()
        except TimeoutError:
            return Answer(False, f"timeout after {format_duration(self._readiness.timeout)}")
        except Exception as error:
            # A fault in one probe must not leave its workload unwatched.
            key = self._container.key
            logger.exception("probe of %s", key, extra={"key": str(key)})
            return Answer(False, f"the probe failed: {shorten(repr(error))}")

    def _record(self, answer: Answer, threshold: int) -> None:
        self._answer = answer
        self._time = self._now()
        self._attempts += 1
        self._failures = 0 if answer.ready else self._failures + 1
        if answer.ready != self._ready and (answer.ready or self._failures >= threshold):
            self._ready = answer.ready
            self._timed_out = False
            self._ever_ready = True
            self._unready_since = self._loop.time()
            self._timer.cancel()
            self._changed()
        elif not self._ready and answer.text != self._told and self._may_tell():
            self._told, self._told_at = answer.text, self._loop.time()
            self._answered()

    def _may_tell(self) -> bool:
        return self._loop.time() - self._told_at >= TELL_INTERVAL

    def _expire(self) -> None:
        if not self._ever_ready:
            self._timed_out = True
            self._changed()
