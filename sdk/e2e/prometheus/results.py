"""What Prometheus answers, as frozen values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from e2e.matchers import LabelMatcher, format_number
from e2e.prometheus.frames import Row, frame
from e2e_api.errors import InvalidArgument

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of one series at one time."""

    labels: Mapping[str, str]
    time: datetime
    value: float

    def __str__(self) -> str:
        return f"{labels_text(self.labels)} {format_number(self.value)}"


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one series over time, the earliest first."""

    labels: Mapping[str, str]
    times: tuple[datetime, ...]
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{labels_text(self.labels)} {' '.join(map(format_number, self.values))}"


class QueryResult:
    """What a query gives: a `Vector`, `Matrix`, `Scalar` or `Text`."""

    __slots__ = ()
    warnings: tuple[str, ...]
    """What Prometheus notes about the query."""

    def _rows(self) -> Iterator[Row]:
        raise NotImplementedError

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers alone, without labels and times; of a text there are none."""
        return tuple(row.value for row in self._rows() if not isinstance(row.value, str))

    @property
    def value(self) -> float:
        """The number, where there is exactly one. Raises InvalidArgument where there is none, or several."""
        values = self.values
        if len(values) != 1:
            raise InvalidArgument(f"expected one value, not {len(values)}:\n{self}")
        return values[0]

    def by(self, label: str) -> dict[str, float]:
        """The numbers by a label's value, "" for series that lack it.

        Raises InvalidArgument where there are several for one.
        """
        found: dict[str, float] = {}
        for row in self._rows():
            key = row.labels.get(label, "")
            if key in found:
                raise InvalidArgument(f"several values have {label}={key!r}:\n{self}")
            if not isinstance(row.value, str):
                found[key] = row.value
        return found

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each value: the labels of its series, `time` (UTC) and `value`.

        A label `time` or `value` becomes `label_time` or `label_value`. Raises InvalidArgument where pandas
        is not installed.
        """
        return frame(self._rows())


@dataclass(frozen=True, slots=True)
class Vector(QueryResult):
    """A value for each series, at one time: what most queries give."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def _rows(self) -> Iterator[Row]:
        return (Row(sample.labels, sample.time, sample.value) for sample in self.samples)

    def __str__(self) -> str:
        return _listed(self.samples)


@dataclass(frozen=True, slots=True)
class Matrix(QueryResult):
    """Values over time for each series."""

    series: tuple[Range, ...]
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Range]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    def _rows(self) -> Iterator[Row]:
        for found in self.series:
            for time, value in zip(found.times, found.values, strict=True):
                yield Row(found.labels, time, value)

    def __str__(self) -> str:
        return _listed(self.series)


@dataclass(frozen=True, slots=True)
class Scalar(QueryResult):
    """A number without labels."""

    time: datetime
    number: float
    warnings: tuple[str, ...] = ()

    def _rows(self) -> Iterator[Row]:
        yield Row({}, self.time, self.number)

    def __str__(self) -> str:
        return format_number(self.number)


@dataclass(frozen=True, slots=True)
class Text(QueryResult):
    """What a query that is a string literal gives: a string, in Prometheus' words."""

    time: datetime
    text: str
    warnings: tuple[str, ...] = ()

    def _rows(self) -> Iterator[Row]:
        yield Row({}, self.time, self.text)

    def __str__(self) -> str:
        return repr(self.text)


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """Something that Prometheus scrapes."""

    job: str
    instance: str
    health: str
    """`up`, `down`, or `unknown` before the first scrape."""
    url: str
    last_error: str
    """Why the last scrape failed; empty if it did not."""
    last_scrape: datetime | None
    last_scrape_seconds: float
    """How long it took."""
    labels: Mapping[str, str]
    """Of its series."""
    discovered_labels: Mapping[str, str]
    """Before relabelling."""

    @property
    def is_up(self) -> bool:
        """Whether its last scrape succeeded."""
        return self.health == "up"

    def __str__(self) -> str:
        said = f": {self.last_error}" if self.last_error else ""
        return f"{self.job} {self.instance} {self.health}{said}"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is pending or firing."""

    name: str
    state: str
    """`pending` or `firing`."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    active_at: datetime | None
    value: float


def labels_text(labels: Mapping[str, str]) -> str:
    """As PromQL writes them: `up{job="web"}`."""
    own = sorted((name, value) for name, value in labels.items() if name != "__name__")
    pairs = ", ".join(str(LabelMatcher.equal(name, value)) for name, value in own)
    return f"{labels.get('__name__', '')}{{{pairs}}}"


def _listed(items: tuple[object, ...]) -> str:
    if not items:
        return "nothing"
    more = [f"and {len(items) - _MOST_SHOWN} more"] if len(items) > _MOST_SHOWN else []
    return "\n".join([*map(str, items[:_MOST_SHOWN]), *more])
