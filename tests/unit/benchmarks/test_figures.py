import pytest

from benchmarks.figures import pairwise_differences, pairwise_ratios


def test_rounds_are_compared_with_each_other() -> None:
    assert pairwise_ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert pairwise_differences([2.0, 9.0], [1.0, 3.0]) == [1.0, 6.0]


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        pairwise_ratios([1.0], [1.0, 2.0])
