"""Looking at sums again and again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from e2e_api.looks import add_spread
from e2e_controller.metrics.page import Origin, Page, ScrapeError
from e2e_controller.metrics.selection import AbsentPolicy, Selection, Sum, select
from e2e_controller.offload import offload

_FIRST_INTERVAL = 0.02
_GROWTH = 0.02
"""The interval as a part of the time waited so far."""
_LAST_INTERVAL = 0.06
_COST_FACTOR = 4
"""How many times its own length a scrape is rested from, so that a large page never takes the machine."""
_LONGEST_REST = 1.0

Fetch = Callable[[], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class Part:
    """What one workload adds to a sample."""

    workload: str
    sums: tuple[Sum, ...] = ()
    error: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look gave: sums, or why there are none."""

    time: datetime
    sums: tuple[Sum, ...] = ()
    error: str = ""
    parts: tuple[Part, ...] = field(default=(), compare=False)
    """What the sums are made of, one for each workload."""

    def same(self, other: "Sample") -> bool:
        """Whether both say the same, at whatever time."""
        if self.error != other.error or len(self.sums) != len(other.sums):
            return False
        return all(mine.same(theirs) for mine, theirs in zip(self.sums, other.sums, strict=True))


class History:
    """Samples that differ from the one before, oldest first, and the number of all.

    Where there are more than `limit`, the first and the last are kept, and of the others some that are spread
    over the time.
    """

    def __init__(self, limit: int = 10) -> None:
        self._limit = limit
        self._samples: list[Sample] = []
        self.scrapes = 0
        self.differed = 0
        """How many differed from the one before."""
        self.last: Sample | None = None
        """The newest, whether it differed or not."""
        self.last_error: Sample | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Each is the first of those in a row that say the same."""
        return tuple(self._samples)

    def add(self, sample: Sample) -> bool:
        """Notes a sample; whether it differs from the one before."""
        self.scrapes += 1
        before, self.last = self.last, sample
        if sample.error:
            self.last_error = sample
        if before is not None and before.same(sample):
            return False
        self.differed += 1
        add_spread(self._samples, sample, self._limit, lambda kept: kept.time.timestamp())
        return True


def utc_now() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)


async def scrape(
    fetch: Fetch, selection: Selection, now: Callable[[], datetime] = utc_now, workload: str = ""
) -> Sample:
    """One look. A `ScrapeError` makes a sample with an error; anything else that `fetch` raises is raised."""
    try:
        page = await fetch()
        asked = page, selection.names, selection.matchers, selection.value_type, selection.keeps_series
        sums = tuple(select(*asked) if selection.is_quick_on(page) else await offload(select, *asked))
    except ScrapeError as error:
        return Sample(now(), error=str(error), parts=(Part(workload, error=str(error)),))
    return Sample(now(), sums, parts=(Part(workload, sums, origin=page.origin),))


async def scrape_all(
    fetches: Mapping[str, Fetch], selection: Selection, now: Callable[[], datetime] = utc_now
) -> Sample:
    """One look at several workloads at once, their sums added up. Where one has no page, there are none."""
    looks = (scrape(fetch, selection, now, workload) for workload, fetch in fetches.items())
    samples = await asyncio.gather(*looks)
    if len(samples) == 1:
        return samples[0]
    parts = tuple(part for sample in samples for part in sample.parts)
    if errors := [f"{part.workload}: {part.error}" for part in parts if part.error]:
        return Sample(now(), error="; ".join(errors), parts=parts)
    sums = tuple(_together(parts, index, selection) for index in range(len(selection.names)))
    return Sample(now(), sums, parts=parts)


def _together(parts: tuple[Part, ...], index: int, selection: Selection) -> Sum:
    """The sum over all workloads; absent where it is so of one, unless that shall be skipped."""
    sums = [part.sums[index] for part in parts]
    there = [sum_.value for sum_ in sums if sum_.value is not None]
    complete = len(there) == len(sums) or (bool(there) and selection.absent is AbsentPolicy.SKIP)
    values = {
        (part.workload, series): value
        for part, sum_ in zip(parts, sums, strict=True)
        for series, value in sum_.values.items()
    }
    return replace(
        sums[0], value=sum(there) if complete else None, series=sum(s.series for s in sums), values=values
    )


async def watch(
    look: Callable[[], Awaitable[Sample]], *, clock: Callable[[], float] | None = None
) -> AsyncGenerator[Sample, None]:
    """A sample of each look, for as long as it is iterated.

    The first comes at once, then one every 20 ms growing to 60 ms, less often where scrapes take long.
    """
    clock = clock or asyncio.get_running_loop().time
    started = clock()
    while True:
        began = clock()
        sample = await look()
        cost = clock() - began
        yield sample
        interval = min(max((clock() - started) * _GROWTH, _FIRST_INTERVAL), _LAST_INTERVAL)
        await asyncio.sleep(max(interval, min(cost * _COST_FACTOR, _LONGEST_REST)))
