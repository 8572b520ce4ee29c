"""What given queries say of a phase. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from e2e.benchmark.curves import Curve, Point
from e2e_api.errors import InvalidArgument

RANGE = "$__range"
"""In a query, the length of the phase, as in Grafana."""


@dataclass(frozen=True, slots=True)
class SeriesFigures:
    """One series of a query's result over the phase."""

    labels: Mapping[str, str]
    mean: float
    least: float
    most: float
    last: float
    curve: tuple[Point, ...] = field(default=(), repr=False)
    """Seconds since the phase began, and the value; empty for a query that is asked once, at the end."""

    @property
    def words(self) -> str:
        """The labels as Prometheus writes them; nothing where there are none."""
        return ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))


@dataclass(frozen=True, slots=True)
class QueryFigures:
    """A given query, and what its series were in the phase; none where there was nothing but NaN."""

    name: str
    promql: str
    series: tuple[SeriesFigures, ...]

    def words_for(self, series: SeriesFigures) -> str:
        """The labels by which a series differs from the others; all of them where it is alone."""
        if len(self.series) == 1:
            return series.words
        values: dict[str, set[str]] = {}
        for each in self.series:
            for name in {name for other in self.series for name in other.labels}:
                values.setdefault(name, set()).add(each.labels.get(name, ""))
        told = {name: value for name, value in series.labels.items() if len(values[name]) > 1}
        return replace(series, labels=told).words

    @property
    def only(self) -> SeriesFigures:
        """The series, where there is exactly one. Raises InvalidArgument where there is none, or several."""
        if len(self.series) != 1:
            told = ", ".join(series.words for series in self.series) or "none"
            raise InvalidArgument(f"query {self.name} has {len(self.series)} series, not one: {told}")
        return self.series[0]


def in_phase(promql: str, seconds: float) -> str:
    """The query for a phase of that length."""
    return promql.replace(RANGE, f"{max(1, round(seconds * 1000))}ms")


def is_asked_once(promql: str) -> bool:
    """Whether it is about the phase as a whole."""
    return RANGE in promql


def query_figures(name: str, promql: str, result: Sequence[Curve], start: float) -> QueryFigures:
    """From the values over time; NaN, such as the rate of nothing by nothing, counts as none."""
    found = []
    for curve in result:
        points = [(moment, value) for moment, value in curve.points if not math.isnan(value)]
        if not points:
            continue
        values = [value for _, value in points]
        shown = () if is_asked_once(promql) else tuple((moment - start, value) for moment, value in points)
        found.append(
            SeriesFigures(
                labels=curve.labels,
                mean=math.fsum(values) / len(values),
                least=min(values),
                most=max(values),
                last=values[-1],
                curve=shown,
            )
        )
    return QueryFigures(name, promql, tuple(found))
