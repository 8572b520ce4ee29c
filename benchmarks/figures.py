"""Statistics over samples. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


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


def pairwise_ratios(samples: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Round by round: what both met in one round, such as a busy machine, cancels out."""
    return [sample / base for sample, base in zip(samples, floor, strict=True)]


def pairwise_differences(samples: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Round by round."""
    return [sample - base for sample, base in zip(samples, floor, strict=True)]
