import itertools
import math
import random

import pytest

from e2e.statistics import Change, Spread, _mann_whitney, change, critical_count, median, percentile

STEADY = [1.00, 1.01, 0.99, 1.02, 0.98]


@pytest.mark.parametrize(("old", "new"), [(1, 1), (3, 2), (4, 4), (2, 5)])
def test_orders_are_counted_out(old: int, new: int) -> None:
    expected = [0] * (old * new + 1)
    for places in itertools.combinations(range(old + new), old):
        expected[sum(place - rank for rank, place in enumerate(places))] += 1
    assert _mann_whitney(old, new) == expected
    assert sum(expected) == math.comb(old + new, old)


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [(3, 3, 0), (4, 4, 1), (5, 5, 3), (8, 8, 14), (10, 12, 30)],  # as tables of the critical values have it
)
def test_how_many_pairs_are_left_out(old: int, new: int, count: int) -> None:
    assert critical_count(old, new) == count


def test_many_samples_are_as_good_as_normal() -> None:
    assert critical_count(50, 50) == pytest.approx(critical_count(50, 51), abs=40)


def test_three_rounds_show_nothing() -> None:
    found = change([1.0, 1.1, 0.9], [9.0, 9.1, 8.9])
    assert found.ratio == pytest.approx(9.0, rel=0.02)
    assert (found.least, found.most) == (0.0, math.inf)
    assert found.verdict(0.05) == "cannot tell"


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "slower"), (0.7, "faster"), (1.03, "cannot tell")])
def test_a_change_has_to_matter(factor: float, verdict: str) -> None:
    assert change(STEADY, [factor * sample for sample in STEADY]).verdict(0.05) == verdict


def test_a_change_has_to_be_sure() -> None:
    assert change([1.0, 2.0, 1.1, 1.9, 1.5], [1.7, 2.1, 1.3, 2.2, 1.4]).verdict(0.05) == "cannot tell"


def test_equal_runs_are_seldom_called_different() -> None:
    dice = random.Random(5)
    wrong = 0
    for _ in range(400):
        old, new = ([math.exp(dice.gauss(0, 0.2)) for _ in range(6)] for _ in range(2))
        wrong += change(old, new).verdict(0.0) != "cannot tell"
    assert wrong < 30  # 5 % of 400 are 20


def test_the_interval_holds_the_ratio() -> None:
    found = change(STEADY, [2 * sample for sample in STEADY])
    assert found.least < found.ratio < found.most
    assert isinstance(found, Change)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (25, 2.0), (50, 3.0), (90, 4.6), (99, 4.96), (100, 5.0)]
)
def test_percentiles_lie_between_neighbours(percent: float, expected: float) -> None:
    assert percentile([5.0, 1.0, 4.0, 2.0, 3.0], percent) == pytest.approx(expected)


def test_a_percentile_of_one_sample_is_that_sample() -> None:
    assert percentile([7.0], 99) == 7.0


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_a_spread_has_all_five_numbers() -> None:
    assert Spread.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(1.0, 2.0, 3.0, 4.0, 5.0)


def test_the_median_of_an_even_number_is_between_the_middle_ones() -> None:
    assert median([1.0, 10.0, 2.0, 3.0]) == 2.5
