"""Looking again and again, on a clock of its own."""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from e2e_controller.metrics import (
    History,
    Page,
    Sample,
    ScrapeError,
    Selection,
    Sum,
    ValueType,
    scrape,
    watch,
)

NOW = datetime(2024, 5, 1, tzinfo=UTC)
SELECTION = Selection(("m",))


def fetch_of(*pages: str | Exception, cost: float = 0.0) -> Callable[[], Awaitable[Page]]:
    remaining = list(pages)

    async def fetch() -> Page:
        await asyncio.sleep(cost)
        page = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(page, Exception):
            raise page
        return Page(page)

    return fetch


async def times_of_scrapes(fetch: Callable[[], Awaitable[Page]], until: float) -> list[float]:
    loop = asyncio.get_running_loop()
    times = []
    samples = watch(partial(scrape, fetch, SELECTION))
    async for _ in samples:
        times.append(loop.time())
        if loop.time() >= until:
            break
    await samples.aclose()
    return times


def intervals(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.looptime
async def test_the_first_look_is_at_once_then_often_then_less_often() -> None:
    times = await times_of_scrapes(fetch_of("m 1"), until=60)
    gaps = intervals(times)
    assert times[0] == 0
    assert gaps[0] == pytest.approx(0.02)
    assert all(gap < 0.11 for gap, time in zip(gaps, times, strict=False) if time <= 5)
    assert gaps[-1] == pytest.approx(0.06)


@pytest.mark.looptime
@pytest.mark.parametrize(("cost", "gap"), [(0.05, 0.25), (0.2, 1.0), (3.0, 4.0)])
async def test_a_page_that_takes_long_is_looked_at_less(cost: float, gap: float) -> None:
    times = await times_of_scrapes(fetch_of("m 1", cost=cost), until=4)
    assert intervals(times)[0] == pytest.approx(gap)


@pytest.mark.looptime
async def test_a_failed_scrape_is_a_sample() -> None:
    fetch = fetch_of(ScrapeError("refused"), "m x", "m 2")
    samples = watch(partial(scrape, fetch, SELECTION, lambda: NOW))
    assert [await anext(samples) for _ in range(3)] == [
        Sample(NOW, error="refused"),
        Sample(NOW, error="line 1 of the metrics page is not a metric: m x"),
        Sample(NOW, (Sum("m", 2, 1),)),
    ]
    await samples.aclose()


@pytest.mark.looptime
async def test_what_is_no_scrape_error_is_raised() -> None:
    with pytest.raises(LookupError):
        await scrape(fetch_of(LookupError()), SELECTION)


async def test_the_selection_is_used() -> None:
    selection = Selection(("a", "b"), (), ValueType.COUNT)
    sample = await scrape(fetch_of('a{x="1"} 5\na{x="2"} 5\n'), selection)
    assert sample.sums == (Sum("a", 2, 2), Sum("b", None, 0))


def sample_of(value: float | None, error: str = "", at: float = 0) -> Sample:
    return Sample(NOW + timedelta(seconds=at), () if error else (Sum("m", value, 1),), error)


def test_history_keeps_samples_that_differ() -> None:
    history = History()
    kept = [history.add(sample_of(value)) for value in (1, 1, math.nan, math.nan, None, 1, 2)]
    assert kept == [True, False, True, False, True, True, True]
    assert (history.scrapes, history.differed) == (7, 5)
    assert [str(sample.sums[0].value) for sample in history.samples] == ["1", "nan", "None", "1", "2"]


def test_a_long_history_is_spread_over_the_time_with_the_first_and_the_newest() -> None:
    history = History(limit=5)
    for number in range(1001):
        history.add(sample_of(number, at=number / 10))
        assert history.samples[-1].sums[0].value == number
    values = [sample.sums[0].value for sample in history.samples]
    assert (len(values), values[0], values[-1]) == (5, 0, 1000)
    assert all(later - earlier > 50 for earlier, later in itertools.pairwise(values))  # type: ignore[operator]


def test_the_last_error_is_remembered() -> None:
    history = History(limit=2)
    for sample in (sample_of(1), sample_of(None, "refused", at=1), sample_of(2, at=2), sample_of(3, at=3)):
        history.add(sample)
    assert history.last_error == sample_of(None, "refused", at=1)
    assert [sample.error for sample in history.samples] == ["", ""]


def test_history_of_errors() -> None:
    history = History()
    kept = [history.add(sample_of(None, error)) for error in ("refused", "refused", "404", "")]
    assert kept == [True, False, True, True]
