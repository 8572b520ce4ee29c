"""Looking at sums again and again."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from e2e_controller.metrics.page import Page, ScrapeError
from e2e_controller.metrics.selection import Selection, Sum, select
from e2e_controller.offload import offload

_FIRST_INTERVAL = 0.02
_GROWTH = 0.02
"""The interval as a part of the time waited so far."""
_LAST_INTERVAL = 0.06
_COST_FACTOR = 4
"""How many times its own length a scrape is rested from, so that a large page never takes the machine."""
_LONGEST_REST = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one scrape gave: sums, or why there are none."""

    time: datetime
    sums: tuple[Sum, ...] = ()
    error: str = ""

    def same(self, other: "Sample") -> bool:
        """Whether both say the same, at whatever time."""
        if self.error != other.error or len(self.sums) != len(other.sums):
            return False
        return all(mine.same(theirs) for mine, theirs in zip(self.sums, other.sums, strict=True))


class History:
    """The last samples that differ, oldest first, and the number of all."""

    def __init__(self, limit: int = 10) -> None:
        self._samples: deque[Sample] = deque(maxlen=limit)
        self.scrapes = 0

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Each is the first of those in a row that say the same."""
        return tuple(self._samples)

    def add(self, sample: Sample) -> bool:
        """Notes a sample; whether it differs from the one before."""
        self.scrapes += 1
        if self._samples and self._samples[-1].same(sample):
            return False
        self._samples.append(sample)
        return True


def utc_now() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)


async def scrape(
    fetch: Callable[[], Awaitable[Page]], selection: Selection, now: Callable[[], datetime] = utc_now
) -> Sample:
    """One look. A `ScrapeError` makes a sample with an error; anything else that `fetch` raises is raised."""
    try:
        page = await fetch()
        asked = page, selection.names, selection.matchers, selection.value_type
        sums = select(*asked) if selection.is_quick_on(page) else await offload(select, *asked)
    except ScrapeError as error:
        return Sample(now(), error=str(error))
    return Sample(now(), tuple(sums))


async def watch(
    fetch: Callable[[], Awaitable[Page]],
    selection: Selection,
    *,
    clock: Callable[[], float] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> AsyncGenerator[Sample, None]:
    """A sample of each scrape, for as long as it is iterated.

    The first comes at once, then one every 20 ms growing to 60 ms, less often where scrapes take long.
    """
    clock = clock or asyncio.get_running_loop().time
    started = clock()
    while True:
        began = clock()
        sample = await scrape(fetch, selection, now)
        cost = clock() - began
        yield sample
        interval = min(max((clock() - started) * _GROWTH, _FIRST_INTERVAL), _LAST_INTERVAL)
        await asyncio.sleep(max(interval, min(cost * _COST_FACTOR, _LONGEST_REST)))
