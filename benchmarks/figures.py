"""Samples that were taken in the same rounds. Pure."""

from collections.abc import Sequence


def pairwise_ratios(samples: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Round by round: what both met in one round, such as a busy machine, cancels out."""
    return [sample / base for sample, base in zip(samples, floor, strict=True)]


def pairwise_differences(samples: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Round by round."""
    return [sample - base for sample, base in zip(samples, floor, strict=True)]
