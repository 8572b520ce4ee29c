"""Values over time: counters that begin again, gauges, and what lies between two looks. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from e2e.prometheus.results import Matrix, QueryResult, Sample, Scalar, Vector

Point = tuple[float, float]
"""Seconds, and the value then."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One series, the earliest point first; seconds since 1970."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]

    @property
    def latest(self) -> float:
        """The time of the last point; -inf where there is none."""
        return self.points[-1][0] if self.points else -math.inf

    def about(self, start: float, end: float) -> tuple[Point, ...]:
        """The points from the last one up to `start` to the first one from `end` on."""
        first = max(0, bisect_right(self.points, (start, math.inf)) - 1)
        return self.points[first : bisect_left(self.points, (end,)) + 1]


def curves_of(result: QueryResult) -> list[Curve]:
    """The series of a query's result; none of a text."""
    if isinstance(result, Matrix):
        pairs = [(series.labels, zip(series.times, series.values, strict=True)) for series in result]
        return [
            Curve(labels, tuple((at.timestamp(), value) for at, value in points)) for labels, points in pairs
        ]
    samples = [Sample({}, result.time, result.value)] if isinstance(result, Scalar) else []
    if isinstance(result, Vector):
        samples = list(result)
    return [Curve(sample.labels, ((sample.time.timestamp(), sample.value),)) for sample in samples]


def longest_interval(curves: Iterable[Curve]) -> float:
    """Seconds from one look to the next, of those that are looked at the least often; 0 if unknown."""
    gaps = [[right - left for (left, _), (right, _) in pairwise(curve.points)] for curve in curves]
    return max((min(each) for each in gaps if each), default=0.0)


def increase(curve: Curve, start: float, end: float, *, from_zero: bool) -> float:
    """By how much a counter has grown between two times.

    Nobody saw how it grew from the last look up to `start` to `start`, and from `end` to the first look from
    there on. A phase is there because it differs from what is around it: before `start` it is taken to grow
    as in the two looks before the phase or as in the two after it, whichever is less, and after `end` as in
    the two after it; not at all where these are not known. Where it becomes less, it began again at 0.
    `from_zero`: what it counts began after `start`, so that before the first look it was 0.
    """
    points = without_resets(curve.points)
    if not points:
        return 0.0
    first = bisect_right(points, (start, math.inf)) - 1
    last = min(bisect_left(points, (end,)), len(points) - 1)
    after = _slope(points, last)
    before = 0.0
    if not from_zero:
        moment, before = points[max(0, first)]
        if first >= 0:
            before += min(_slope(points, first - 1), _slope(points, first), after) * (start - moment)
    moment, value = points[last]
    return max(0.0, value - min(_slope(points, last - 1), after) * max(0.0, moment - end) - before)


def _slope(points: Sequence[Point], at: int) -> float:
    """How much it grows in a second from the look of that number to the next; 0 where one is missing."""
    if not 0 <= at < len(points) - 1:
        return 0.0
    (left, low), (right, high) = points[at : at + 2]
    return (high - low) / (right - left) if right > left else 0.0


def without_resets(points: Sequence[Point]) -> list[Point]:
    """As if the counter had gone on where it began again."""
    grown: list[Point] = []
    lost = last = 0.0
    for moment, value in points:
        if value < last:
            lost += last
        last = value
        grown.append((moment, value + lost))
    return grown


def value_at(points: Sequence[Point], moment: float) -> float:
    """Between its neighbours in proportion; outside, the nearest. Of at least one point."""
    after = bisect_right(points, (moment, math.inf))
    if after == 0:
        return points[0][1]
    if after == len(points):
        return points[-1][1]
    (left, low), (right, high) = points[after - 1], points[after]
    return low + (high - low) * (moment - left) / (right - left)


def slopes(points: Sequence[Point]) -> list[Point]:
    """How much a counter grows in a second, at the later one of each two looks."""
    grown = without_resets(points)
    return [
        (right, (high - low) / (right - left))
        for (left, low), (right, high) in pairwise(grown)
        if right > left
    ]


def total(curves: Sequence[Sequence[Point]]) -> tuple[Point, ...]:
    """The sum of several over time; each counts from its first point to its last."""
    if len(curves) == 1:
        return tuple(curves[0])
    moments = sorted({moment for points in curves for moment, _ in points})
    return tuple(
        (
            moment,
            sum(value_at(points, moment) for points in curves if points[0][0] <= moment <= points[-1][0]),
        )
        for moment in moments
    )
