"""Readiness by a line in the output."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from e2e_api.manifests import LogProbe
from e2e_api.patterns import Pattern, compile_pattern
from e2e_controller.drivers.base import Container, Driver, DriverError, Output
from e2e_controller.httpclient import shorten
from e2e_controller.offload import offload
from e2e_controller.probes.checks import Answer, PushedCheck

_LONGEST_LINE = 64 * 1024
_RETRY = 1.0
_QUICK = 2**20
"""Letters times steps of the pattern that are worked on at once, within the event loop: some milliseconds."""
_HEAD_START = timedelta(seconds=1)


class LogCheck(PushedCheck):
    """Counts lines that match; ready for good once there are enough."""

    def __init__(self, driver: Driver, container: Container, probe: LogProbe) -> None:
        times = f" {probe.count} times" if probe.count > 1 else ""
        self.request = f"a log line that matches {probe.pattern!r}{times}"
        self._driver = driver
        self._container_id = container.id
        self._since = logs_since(container)
        self._probe = probe
        self._pattern = compile_pattern(probe.pattern)
        self._rests: dict[str, bytes] = {}
        self._seen = 0
        self._matched = 0
        self._error = ""

    def look(self) -> Answer:
        """Ready when as many lines as asked for match."""
        if self._matched >= self._probe.count:
            return Answer(True, f"{self._matched} of {self._seen} lines match")
        lines = f"{self._seen} line{'' if self._seen == 1 else 's'} seen"
        found = f"{self._matched} of {self._probe.count} lines match" if self._matched else "no line matches"
        text = f"{found} {self._probe.pattern!r} ({lines})"
        return Answer(False, f"{text}: {self._error}" if self._error else text)

    async def follow(self, tell: Callable[[], None]) -> None:
        """Reads the output until enough lines match, from the beginning again if it breaks off."""
        while True:
            self._rests, self._seen, self._matched = {}, 0, 0
            try:
                if await self._read():
                    tell()
                    return
                self._error = ""
            except DriverError as error:
                self._error = shorten(str(error))
            await asyncio.sleep(_RETRY)

    async def _read(self) -> bool:
        outputs = self._driver.logs(self._container_id, follow=True, since=self._since)
        async with aclosing(outputs):
            async for output in outputs:
                if await self._count(self._complete(output)):
                    return True
        return await self._count(list(self._rests.values()))

    def _complete(self, output: Output) -> list[bytes]:
        """The lines that a piece of output completes."""
        *lines, rest = (self._rests.get(output.stream, b"") + output.data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._rests[output.stream] = rest
        return lines

    async def _count(self, lines: Sequence[bytes]) -> bool:
        """Counts these lines; whether there are enough that match."""
        wanted = self._probe.count - self._matched
        work = sum(map(len, lines)) * self._pattern.size
        asked = self._pattern, lines, wanted
        seen, matched = _matching(*asked) if work <= _QUICK else await offload(_matching, *asked)
        self._seen += seen
        self._matched += matched
        return matched >= wanted


def _matching(pattern: Pattern, lines: Sequence[bytes], wanted: int) -> tuple[int, int]:
    """How many lines were seen, and how many of them match, up to the last one wanted."""
    seen = matched = 0
    for line in filter(None, lines):
        text = line[:_LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
        seen += 1
        matched += pattern.is_found_in(text)
        if matched >= wanted:
            break
    return seen, matched


def logs_since(container: Container) -> datetime | None:
    """From when on output is of this run; None where there was no run before.

    A quick program writes before the engine notes the start, and the end of the run before is noted before
    its last lines are: so the border is half way between the two.
    """
    started, finished = container.started_at, container.finished_at
    if started is None or finished is None or finished >= started:
        return None
    return max(started - _HEAD_START, finished + (started - finished) / 2)
