import asyncio
import json
import math
import random
from collections.abc import Callable, Iterator

import pytest

import e2e
from e2e.benchmark.comparison import Comparison, figures_of
from e2e.benchmark.turns import compare, compare_async, order
from tests.unit.benchmark.fake_prometheus import FakeTime
from tests.unit.benchmark.reports import report

STEADY = [1.00, 1.01, 0.99, 1.02, 0.98, 1.01, 0.99]


def runs(factor: float = 1.0, name: str = "seconds") -> list[dict[str, float]]:
    return [{name: factor * value} for value in STEADY]


def given(values: list[float]) -> Callable[[], float]:
    left = iter(values)
    return lambda: next(left)


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "slower"), (0.7, "faster"), (1.03, "cannot tell")])
def test_a_change_that_is_sure_and_matters(factor: float, verdict: str) -> None:
    assert Comparison.of(runs(), runs(factor)).verdict == verdict


def test_more_may_be_better() -> None:
    found = Comparison.of(
        runs(name="requests (code=200)"), runs(2, "requests (code=200)"), higher_is_better=["requests"]
    )
    assert found.verdict == "faster"
    assert Comparison.of(runs(), runs(0.5), higher_is_better=["seconds"]).verdict == "slower"


def test_noise_hides_a_change_and_is_told() -> None:
    dice = random.Random(1)
    a, b = ([{"seconds": dice.uniform(1, 3) * by} for _ in range(8)] for by in (1.0, 1.1))
    found = Comparison.of(a, b)
    assert found.verdict == "cannot tell"
    assert found.noise > 0.1
    assert Comparison.of(runs(), runs()).noise < 0.02


def test_three_repetitions_show_nothing() -> None:
    found = Comparison.of(runs()[:3], runs(9)[:3])
    assert found.verdict == "cannot tell"
    assert "too few repetitions" in str(found)


def test_nothing_beside_something_and_what_has_no_ratio() -> None:
    def beside(a: float, b: float) -> Comparison:
        return Comparison.of([{"bytes": a}] * 5, [{"bytes": b}] * 5)

    assert beside(0, 0).verdict == "cannot tell"
    assert str(beside(0, 1)).endswith("bytes: slower: inf x, 95 %: inf-inf; noise 0%")
    assert str(beside(1, 0)).endswith("bytes: faster: 0.00 x, 95 %: 0.00-0.00; noise 0%")
    assert "0.00-0.00 | 0% | faster |" in beside(1, 0).to_markdown()
    assert beside(-1, 1).verdict == "cannot tell"
    assert "below 0" in str(beside(-1, 1))
    assert Comparison.of([{"errors": float(n)} for n in (0, 0, 3)], [{"errors": 0.0}] * 3).noise == math.inf


def test_the_verdict_is_about_the_figure_that_is_named() -> None:
    both = [{"seconds": 5.0, "web: cpu_seconds": value} for value in STEADY]
    more = [{"seconds": 5.0, "web: cpu_seconds": 1.2 * value} for value in STEADY]
    assert Comparison.of(both, more).verdict == "cannot tell"
    found = Comparison.of(both, more, about="web: cpu_seconds")
    assert (found.verdict, list(found.figures)) == ("slower", ["web: cpu_seconds", "seconds"])
    assert "by chance" in found.notes[0]
    assert Comparison.of(runs(), runs()).notes == ()
    with pytest.raises(e2e.InvalidArgument, match="no figure 'cpu' is"):
        Comparison.of(both, more, about="cpu")


def test_two_of_one_name_and_a_warmup_below_0_are_refused() -> None:
    with pytest.raises(e2e.InvalidArgument, match="two that differ"):
        Comparison.of(runs(), runs(), names=("a", "a"))
    with pytest.raises(e2e.InvalidArgument, match="warmup"):
        compare(lambda: 1, lambda: 2, warmup=-1)


def test_the_time_counts_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime()
    monkeypatch.setattr("e2e.benchmark.turns.time", clock)
    ways = (lambda: clock.pass_by(1.0), lambda: clock.pass_by(1.5))
    found = compare(*ways, repetitions=5, names=("old", "new"))
    assert found.verdict == "slower"
    assert str(found).startswith("new beside old, 5 and 5 repetitions: seconds: slower: ")
    assert list(found.figures) == ["seconds"]


def test_numbers_count_where_they_are_given() -> None:
    found = compare(given(STEADY), given([0.5 * value for value in STEADY]), repetitions=6, warmup=1)
    assert found.verdict == "faster"
    assert found.main.a == tuple(STEADY[1:])


def test_it_is_done_by_turns_and_the_first_changes() -> None:
    assert list(order(2, 1)) == [(1, False), (0, False), (0, True), (1, True), (1, True), (0, True)]


def test_a_machine_that_becomes_slower_meets_both_alike() -> None:
    slower: Iterator[float] = iter(1.0 + 0.1 * step for step in range(100))
    found = compare(lambda: next(slower), lambda: next(slower), repetitions=12)
    assert found.verdict == "cannot tell"
    assert found.main.change is not None
    assert found.main.change.ratio == pytest.approx(1.0, abs=0.05)


def test_what_has_to_be_awaited() -> None:
    async def takes(seconds: float) -> dict[str, float]:
        await asyncio.sleep(0)
        return {"latency": seconds}

    found = asyncio.run(compare_async(lambda: takes(2), lambda: takes(1), repetitions=5))
    assert (found.main.name, found.verdict) == ("latency", "faster")


def test_reports_are_compared_by_all_their_figures() -> None:
    found = Comparison.of([report(1.0)] * 5, [report(2.0)] * 5)
    assert list(found.figures)[:2] == ["seconds", "test-process: cpu_seconds"]
    assert {each.verdict for each in found.figures.values()} == {"slower"}
    assert "web: memory_peak_bytes" in found.figures
    assert "requests (code=200)" in found.figures


def test_what_not_all_repetitions_have_is_left_out_and_told() -> None:
    found = Comparison.of([{"seconds": 1.0, "other": 1.0}] * 5, [{"seconds": 1.0}] * 5)
    assert list(found.figures) == ["seconds"]
    assert found.notes == ("not in every repetition, so left out: other",)
    with pytest.raises(e2e.InvalidArgument, match="no figure"):
        Comparison.of([{"a": 1.0}], [{"b": 1.0}])
    with pytest.raises(e2e.InvalidArgument, match="at least one"):
        Comparison.of([], [{"b": 1.0}])


def test_what_is_no_figure_is_refused() -> None:
    with pytest.raises(e2e.InvalidArgument, match="not str"):
        figures_of("fast", 1.0)
    with pytest.raises(e2e.InvalidArgument, match="repetitions"):
        compare(lambda: 1, lambda: 2, repetitions=0)


def test_texts_of_a_comparison() -> None:
    found = Comparison.of(runs(), runs(2), names=("old", "new"))
    assert "| seconds | 1.00 s | 2.00 s | 2.00 x | " in found.to_markdown()
    assert found.to_markdown().startswith(
        "*new beside old, 7 and 7 repetitions: seconds: slower: 2.00 x, 95 %: "
    )
    data = json.loads(found.to_json())
    assert data["figures"]["seconds"]["a"] == STEADY
    assert data["verdict"] == "slower"


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_no_number_is_no_verdict(odd: float) -> None:
    found = Comparison.of([{"x": 3.0}, {"x": odd}] + [{"x": 3.0}] * 3, [{"x": 1.0}] * 5)
    assert found.verdict == "cannot tell"
