"""Where samples lie, and whether those of one run are greater than those of another. Pure.

The samples of two runs are compared by rank, which supposes nothing about how they are distributed: the ratio
is the median of all ratios of a new sample to an old one (Hodges and Lehmann), and its interval follows from
how the Mann-Whitney statistic is distributed where both are the same.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["faster", "slower", "cannot tell"]
CONFIDENCE = 0.95
_EXACT = 2500
"""Up to so many pairs the distribution is counted out; from there on it is as good as normal."""
_NORMAL_QUANTILE = 1.959964


@dataclass(frozen=True, slots=True)
class Spread:
    """Where samples lie."""

    least: float
    first_quartile: float
    median: float
    third_quartile: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """Of at least one sample."""
        return cls(
            least=min(samples),
            first_quartile=percentile(samples, 25),
            median=percentile(samples, 50),
            third_quartile=percentile(samples, 75),
            most=max(samples),
        )


def median(samples: Sequence[float]) -> float:
    """The middle, or the mean of the two middle ones."""
    return statistics.median(samples)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the samples lie, interpolated between neighbours."""
    if not samples:
        raise ValueError("there are no samples")
    ordered = sorted(samples)
    position = (len(ordered) - 1) * percent / 100
    below, above = math.floor(position), math.ceil(position)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


@dataclass(frozen=True, slots=True)
class Change:
    """The ratio of new to old, and between what it lies; no interval where samples are too few."""

    ratio: float
    least: float = 0.0
    most: float = math.inf

    @property
    def is_sure(self) -> bool:
        """Whether there is an interval."""
        return self.least > 0 or self.most < math.inf

    def verdict(self, tolerance: float) -> Verdict:
        """A change that is sure, and that matters: by more than the tolerance."""
        if self.least > 1 and self.ratio > 1 + tolerance:
            return "slower"
        if self.most < 1 and self.ratio < 1 / (1 + tolerance):
            return "faster"
        return "cannot tell"


def change(old: Sequence[float], new: Sequence[float]) -> Change:
    """Of samples that are 0 or more; of two that are 0 the ratio is 1, of one that was 0 infinite."""
    ratios = sorted(_ratio(after, before) for after in new for before in old)
    outside = critical_count(len(old), len(new))
    if not outside:
        return Change(median(ratios))
    return Change(median(ratios), ratios[outside - 1], ratios[-outside])


def _ratio(after: float, before: float) -> float:
    if before > 0:
        return after / before
    return math.inf if after > 0 else 1.0


def critical_count(old: int, new: int) -> int:
    """How many of the pairs at each end lie outside the interval; 0: so few samples show nothing."""
    pairs = old * new
    if pairs > _EXACT:
        spread = math.sqrt(pairs * (old + new + 1) / 12)
        return max(0, math.floor(pairs / 2 - _NORMAL_QUANTILE * spread))
    ways = _mann_whitney(old, new)
    limit = (1 - CONFIDENCE) / 2 * math.comb(old + new, old)
    reached = 0
    for count, number in enumerate(ways):
        reached += number
        if reached > limit:
            return count
    return 0


def _mann_whitney(old: int, new: int) -> list[int]:
    """In how many of all orders of the samples exactly so many pairs are the wrong way round."""
    pairs = old * new
    ways = [1] + [0] * pairs
    for step in range(1, old + 1):
        # Times (1 - q^(new + step)), divided by (1 - q^step): the Gaussian binomial coefficient, by and by.
        for count in range(pairs, new + step - 1, -1):
            ways[count] -= ways[count - new - step]
        for count in range(step, pairs + 1):
            ways[count] += ways[count - step]
    return ways
