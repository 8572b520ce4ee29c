"""Which series are meant, and what they sum up to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from e2e_api.errors import LimitExceeded
from e2e_controller.metrics.matchers import LabelMatcher
from e2e_controller.metrics.page import Found, Page, Patience, RawLine, Series, find, find_all, parse

_DISTRIBUTIONS = {
    "histogram": ("_sum", "_count"),
    "summary": ("_sum", "_count"),
    "gaugehistogram": ("_gsum", "_gcount"),
}
"""Where the sum and the number of observations stand, by family type."""
_GAUGES = ("gauge", "info", "stateset", "gaugehistogram")
"""Types whose values fall without having been reset."""
MOST_SERIES = 200_000
_FEW_NAMES = 20


SeriesKey = tuple[str, tuple[tuple[str, str], ...]]
"""What tells the series of a page apart: the sample's name, and its labels, sorted."""


class ValueType(StrEnum):
    """What a histogram or a summary counts for."""

    VALUE = "value"
    """The value of a counter or gauge, the sum of a histogram or summary."""
    COUNT = "count"
    """The number of observations of a histogram or summary; the number of series of another family."""


class AbsentPolicy(StrEnum):
    """What a metric that is not on the page means."""

    WAIT = "wait"
    """Go on until it appears."""
    FAIL = "fail"
    """Fail at once."""
    SKIP = "skip"
    """Judge the values of the other names alone; see `Expectation.holds`."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series are summed; one sum is made for each name."""

    names: tuple[str, ...]
    matchers: tuple[LabelMatcher, ...] = ()
    value_type: ValueType = ValueType.VALUE
    absent: AbsentPolicy = AbsentPolicy.WAIT
    keeps_series: bool = False
    """Whether sums tell what they are made of."""

    def is_quick_on(self, page: Page) -> bool:
        """Whether summing takes so little time that no thread is worth its while."""
        costly = any(matcher.is_regular_expression for matcher in self.matchers)
        return page.is_quick and len(self.names) <= _FEW_NAMES and not costly


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum over one family's matching series. `value` None: there are none, which is not 0."""

    name: str
    value: float | None
    series: int
    values: Mapping[Any, float] = field(default_factory=dict, compare=False, repr=False)
    """What was summed, by `SeriesKey`, where that is kept; of several workloads by workload and key."""
    is_gauge: bool = field(default=False, compare=False)
    """Whether it may fall without having been reset."""
    change: float | None = None
    """The increase or the rate, where that is judged, and known."""
    changes: tuple[float, ...] = field(default=(), compare=False, repr=False)
    """The same of each series."""

    def same(self, other: "Sum") -> bool:
        """Whether both say the same; NaN is as good as NaN."""
        same = same_value(self.value, other.value) and same_value(self.change, other.change)
        return same and (self.name, self.series) == (other.name, other.series)


def same_value(first: float | None, second: float | None) -> bool:
    """Equality in which NaN equals NaN."""
    return first == second or (
        first is not None and second is not None and first != first and second != second
    )


def select(
    page: Page,
    names: Sequence[str],
    matchers: Sequence[LabelMatcher] = (),
    value_type: ValueType = ValueType.VALUE,
    keeps_series: bool = False,
) -> list[Sum]:
    """One sum for each name, over all series of that family that match.

    A name is a family's, or a sample's as it stands on the page (`..._count`, `..._total`). Only lines that
    count for a sum are parsed; raises `ScrapeError` where one of them is not a metric, or it takes too long.
    """
    patience = Patience()
    found = find(page, names, patience)
    sums = []
    for name in names:
        lines = found.lines.get(_sample_name(found, name, value_type), ())
        matching = _matching(page, lines, matchers, patience)
        sums.append(_sum(found, name, value_type, matching, keeps_series))
    return sums


def series(page: Page, names: Sequence[str] = (), matchers: Sequence[LabelMatcher] = ()) -> list[Series]:
    """All sample lines of these families (or samples) that match; of all families without names.

    Raises `ScrapeError` where one of their lines is not a metric, or it takes too long, and `LimitExceeded`
    where there are more than `MOST_SERIES`.
    """
    patience = Patience()
    if names:
        found = find(page, names, patience)
        lines = [raw for raws in found.lines.values() for raw in raws]
        lines = [raw for raw in lines if not _answers_to(raw.name, found).isdisjoint(names)]
        lines.sort(key=lambda raw: raw.offset)
    else:
        types, lines = find_all(page, patience)
        found = Found(types)
    result: list[Series] = []
    for name, labels, value in _matching(page, lines, matchers, patience):
        if len(result) == MOST_SERIES:
            raise LimitExceeded(f"more than {MOST_SERIES} series match: name families, or labels")
        result.append(Series(found.family_of(name), name, labels, value))
    return result


def _matching(
    page: Page, lines: Iterable[RawLine], matchers: Sequence[LabelMatcher], patience: Patience
) -> Iterator[tuple[str, dict[str, str], float]]:
    for raw in lines:
        patience.check()
        name, labels, value = parse(page, raw)
        if all(matcher.matches(name, labels) for matcher in matchers):
            yield name, labels, value


def _sum(
    found: Found,
    name: str,
    value_type: ValueType,
    matching: Iterable[tuple[str, dict[str, str], float]],
    keeps_series: bool,
) -> Sum:
    values: list[float] = []
    kept: dict[SeriesKey, float] = {}
    for sample, labels, value in matching:
        values.append(value)
        if keeps_series:
            kept[sample, tuple(sorted(labels.items()))] = value
    is_gauge = found.types.get(found.family_of(name)) in _GAUGES
    if not values:
        return Sum(name, None, 0, is_gauge=is_gauge)
    if value_type is ValueType.COUNT and found.types.get(name) not in _DISTRIBUTIONS:
        return Sum(name, float(len(values)), len(values), dict.fromkeys(kept, 1.0), is_gauge=True)
    return Sum(name, sum(values), len(values), kept, is_gauge)


def _sample_name(found: Found, name: str, value_type: ValueType) -> str:
    """The samples that stand for a name.

    A counter is the same in both formats: the text format calls the family `x_total`, OpenMetrics `x`.
    """
    kind = found.types.get(name, "")
    if kind in _DISTRIBUTIONS:
        return name + _DISTRIBUTIONS[kind][value_type is ValueType.COUNT]
    if name in found.lines:
        return name
    if "counter" in (kind, found.types.get(f"{name}_total")):
        return f"{name}_total"
    return f"{name}_info" if kind == "info" else name


def _answers_to(sample: str, found: Found) -> set[str]:
    """The names by which a sample may be asked for."""
    family = found.family_of(sample)
    names = {sample, family}
    if found.types.get(family) == "counter":
        names.add(family.removesuffix("_total"))
    return names
