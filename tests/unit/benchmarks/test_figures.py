import pytest

from benchmarks.figures import Spread, median, pairwise_differences, pairwise_ratios, percentile


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


def test_rounds_are_compared_with_each_other() -> None:
    assert pairwise_ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert pairwise_differences([2.0, 9.0], [1.0, 3.0]) == [1.0, 6.0]


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        pairwise_ratios([1.0], [1.0, 2.0])
