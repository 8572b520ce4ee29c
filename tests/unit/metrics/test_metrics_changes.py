"""Increases and rates over resets, restarts, gaps, and what comes late."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e_controller.metrics import (
    AbsentPolicy,
    Baseline,
    Changes,
    Increases,
    Origin,
    Page,
    Sample,
    ScrapeError,
    Selection,
    ValueType,
    scrape_all,
)

BEGAN = datetime(2024, 5, 1, tzinfo=UTC)
OLD = Origin("c1", BEGAN - timedelta(seconds=60))
NEW = Origin("c1", BEGAN + timedelta(seconds=1))
NEWER = Origin("c1", BEGAN + timedelta(seconds=2))

Look = tuple[str, Origin | None]


async def sample_of(*looks: str | Look, selection: Selection) -> Sample:
    """A sample of one page for each workload: a, b, ..."""

    def fetch_of(text: str, origin: Origin | None) -> object:
        async def fetch() -> Page:
            if not text:
                raise ScrapeError("refused")
            return Page(text, origin=origin)

        return fetch

    pairs = [(look, OLD) if isinstance(look, str) else look for look in looks]
    fetches = {chr(97 + number): fetch_of(*pair) for number, pair in enumerate(pairs)}
    return await scrape_all(fetches, selection)  # type: ignore[arg-type]


async def increases(
    *looks: str | Look | list[str | Look],
    origins: dict[str, Origin | None] | None = None,
    names: tuple[str, ...] = ("m",),
    value_type: ValueType = ValueType.VALUE,
    absent: AbsentPolicy = AbsentPolicy.WAIT,
) -> list[float | None]:
    """How much the first name has increased at each look."""
    selection = Selection(names, value_type=value_type, absent=absent, keeps_series=True)
    changes = Changes(Increases(BEGAN, {"a": OLD, "b": OLD} if origins is None else origins))
    found = []
    for look in looks:
        pages = look if isinstance(look, list) else [look]
        sample = changes.measured(await sample_of(*pages, selection=selection), 0)
        found.append(sample.sums[0].change if sample.sums else None)
    return found


async def test_what_was_there_at_the_first_look_does_not_count() -> None:
    assert await increases("m 100", "m 100", "m 103", "m 110") == [0, 0, 3, 10]


async def test_what_comes_later_counts_from_0() -> None:
    assert await increases("other 1", "other 1", "m 5", "m 7") == [None, None, 5, 7]
    assert await increases('m{a="1"} 10', 'm{a="1"} 11\nm{a="2"} 4') == [0, 5]


async def test_a_counter_that_falls_was_reset() -> None:
    assert await increases("m 100", "m 104", "m 1", "m 3") == [0, 4, 5, 7]
    assert await increases("m 100", "m 0", "m 100") == [0, 0, 100]


async def test_a_sum_hides_no_reset_of_a_part() -> None:
    looks = ('m{a="1"} 10\nm{a="2"} 10', 'm{a="1"} 1\nm{a="2"} 40')
    assert await increases(*looks) == [0, 31]
    assert await increases(["m 10", "m 10"], ["m 1", "m 40"]) == [0, 31]


async def test_a_restart_is_a_reset_even_where_the_counter_has_overtaken() -> None:
    assert await increases("m 5", ("m 7", NEW), ("m 9", NEW)) == [0, 7, 9]
    assert await increases("m 5", ("", NEW), ("m 7", NEW), ("m 8", NEWER)) == [0, None, 7, 15]


async def test_a_reset_that_is_seen_before_the_restart_counts_once() -> None:
    assert await increases("m 5", "m 2", ("m 3", NEW), ("m 4", NEW), ("m 6", NEWER)) == [0, 2, 3, 4, 10]


async def test_all_counts_of_what_was_started_after_the_wait_began() -> None:
    assert await increases(("m 5", NEW), ("m 6", NEW), origins={"a": None}) == [5, 6]
    assert await increases(("m 5", OLD), ("m 6", OLD), origins={"a": None}) == [0, 1]
    assert await increases(("m 5", NEW), ("m 6", NEW), origins={"a": OLD}) == [5, 6]


@pytest.mark.parametrize(
    ("look", "grown"),
    [
        ('m{a="1"} 12\nm{a="2"} 5', 7.0),
        ('m{a="1"} 3', 3.0),  # it was reset meanwhile
        (('m{a="1"} 12', NEW), 12.0),  # started anew
        ("# TYPE m gauge\nm 3", -7.0),
    ],
)
async def test_a_baseline_is_counted_from(look: str | Look, grown: float) -> None:
    selection = Selection(("m",), keeps_series=True)
    first = await sample_of("# TYPE m gauge\nm 10" if "gauge" in look else 'm{a="1"} 10', selection=selection)
    (part,) = first.parts
    baseline = Baseline(part.origin, tuple(sum_.values for sum_ in part.sums))
    increases = Increases(BEGAN, {"a": OLD}, {"a": baseline})
    sample = Changes(increases).measured(await sample_of(look, selection=selection), 0)
    assert sample.sums[0].change == grown


async def test_a_failed_look_and_what_is_gone_for_a_while_lose_nothing() -> None:
    assert await increases("m 5", "", "m 7") == [0, None, 2]
    assert await increases("m 5", "m 6", "other 1", "m 8") == [0, 1, None, 3]
    assert await increases('m{a="1"} 5\nm{a="2"} 5', 'm{a="1"} 6\nm{a="2"} 7', 'm{a="1"} 7') == [0, 3, 4]


async def test_a_gauge_may_fall() -> None:
    gauge = "# TYPE m gauge\n"
    looks = [f"{gauge}m 10", f"{gauge}m 4", f"{gauge}m 12", (f"{gauge}m 11", NEW)]
    assert await increases(*looks) == [0, -6, 2, 1]
    assert await increases("other 1", f"{gauge}m 4", f"{gauge}m 3") == [None, 4, 3]


async def test_histograms_and_numbers_of_series() -> None:
    text = "# TYPE m histogram\nm_sum {}\nm_count {}\n"
    looks = [text.format(10, 5), text.format(12, 8), text.format(1, 1)]
    assert await increases(*looks) == [0, 2, 3]
    assert await increases(*looks, value_type=ValueType.COUNT) == [0, 3, 4]
    series = ['m{a="1"} 9\nm{a="2"} 9', 'm{a="1"} 9']
    assert await increases(*series, value_type=ValueType.COUNT) == [0, -1]


async def test_several_workloads() -> None:
    looks = (["m 1", "other 1"], ["m 2", "m 3"], ["m 2", ""], ["m 3", "m 3"])
    assert await increases(*looks) == [None, 4, None, 5]
    assert await increases(*looks, absent=AbsentPolicy.SKIP) == [0, 4, None, 5]


async def test_each_series_that_is_there() -> None:
    selection = Selection(("m",), keeps_series=True)
    changes = Changes(Increases(BEGAN, {"a": OLD}))
    texts = ('m{a="1"} 5\nm{a="2"} 5', 'm{a="1"} 6\nm{a="3"} 7')
    found = [changes.measured(await sample_of(text, selection=selection), 0) for text in texts]
    assert [sample.sums[0].changes for sample in found] == [(0, 0), (1, 7)]


async def test_values_that_are_no_numbers_change_nothing() -> None:
    assert await increases("m 5", "m NaN", "m 6", "m +Inf", "m +Inf") == [0, 0, 1, math.inf, math.inf]


@given(st.lists(st.integers(0, 5) | st.just(-1), max_size=30))
async def test_no_count_is_lost_whatever_is_reset(steps: list[int]) -> None:
    """-1 is a reset; what is counted right after one is what the page says."""
    value, counted, looks = 100, 0, ["m 100"]
    for step in steps:
        value = 0 if step < 0 else value + step
        counted += max(step, 0)
        looks.append(f"m {value}")
    assert (await increases(*looks))[-1] == counted


async def rates(window: float, *looks: tuple[float, str]) -> list[float | None]:
    selection = Selection(("m",), keeps_series=True)
    changes = Changes(Increases(BEGAN, {"a": OLD}), window)
    found = []
    for now, text in looks:
        sample = changes.measured(await sample_of(text, selection=selection), now)
        found.append(sample.sums[0].change if sample.sums else None)
    return found


async def test_a_rate_is_that_of_the_last_window() -> None:
    looks = ((0.0, "m 50"), (0.5, "m 60"), (1.0, "m 60"), (1.5, "m 60"), (2.0, "m 61"), (3.0, "m 65"))
    assert await rates(1.0, *looks) == [None, None, 10, 0, 1, 4]


async def test_a_rate_sees_through_resets_and_gaps() -> None:
    assert await rates(1.0, (0.0, "m 50"), (1.0, "m 4")) == [None, 4]
    assert await rates(1.0, (0.0, "m 50"), (1.0, ""), (4.0, "m 58")) == [None, None, 2]


@pytest.mark.parametrize("window", [0.5, 2.0])
async def test_a_steady_rate(window: float) -> None:
    looks = [(number * 0.03, f"m {number * 3}") for number in range(200)]
    found = await rates(window, *looks)
    known = [rate for rate in found if rate is not None]
    assert len(known) > 100
    assert known == pytest.approx([100.0] * len(known))
    assert found.index(known[0]) * 0.03 == pytest.approx(window, abs=0.04)


async def test_a_reset_before_a_restart_does_not_hide_it() -> None:
    """A series fell, and later its container was started anew: both count."""
    increases, selection = Increases(BEGAN, {"a": OLD}), Selection(("m",), keeps_series=True)
    looks = [(0.1, 10, OLD), (0.2, 12, OLD), (0.3, 1, OLD), (0.4, 3, OLD), (1.2, 23, NEW), (1.3, 24, NEW)]
    told = []
    for seconds, value, origin in looks:
        sample = await sample_of((f"# TYPE m counter\nm {value}\n", origin), selection=selection)
        (growth,) = increases.add(replace(sample, time=BEGAN + timedelta(seconds=seconds)))
        told.append(sum(growth.values()))
    assert told == [0, 2, 3, 5, 28, 29]
