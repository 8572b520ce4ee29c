"""Readiness by a line in the output."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from e2e_api.manifests import LogProbe
from e2e_controller.drivers.base import Container, Driver, DriverError, Output
from e2e_controller.httpclient import shorten
from e2e_controller.probes.checks import Answer, PushedCheck

_LONGEST_LINE = 64 * 1024
_RETRY = 1.0
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
        self._pattern = re.compile(probe.pattern)
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
        try:
            async for output in outputs:
                if self._feed(output):
                    return True
        finally:
            await _close(outputs)
        return any(self._count(rest) for rest in self._rests.values())

    def _feed(self, output: Output) -> bool:
        """Counts the lines that a piece of output completes; whether that is enough."""
        *lines, rest = (self._rests.get(output.stream, b"") + output.data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._rests[output.stream] = rest
        return any(self._count(line) for line in lines)

    def _count(self, line: bytes) -> bool:
        if line:
            text = line[:_LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
            self._seen += 1
            self._matched += self._pattern.search(text) is not None
        return self._matched >= self._probe.count


def logs_since(container: Container) -> datetime | None:
    """From when on output is of this run; None where there was no run before.

    A quick program writes before the engine notes the start, and the end of the run before is noted before
    its last lines are: so the border is half way between the two.
    """
    started, finished = container.started_at, container.finished_at
    if started is None or finished is None or finished >= started:
        return None
    return max(started - _HEAD_START, finished + (started - finished) / 2)


async def _close(outputs: AsyncIterator[Output]) -> None:
    close = getattr(outputs, "aclose", None)
    if close is not None:
        await close()
