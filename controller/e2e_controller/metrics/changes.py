"""How much sums have grown since a wait began, and how fast they grow, whatever was reset meanwhile.

Each series of each workload is followed by itself: a sum may hide that one part of it was reset. A counter
that falls was, and so were all of a container that was started anew, though they may have grown beyond where
they were before anybody looked.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from e2e_controller.metrics.page import Origin
from e2e_controller.metrics.selection import SeriesKey, Sum
from e2e_controller.metrics.watching import Part, Sample

_STEPS = 20
"""How many points a rate's window has at most."""

Growths = dict[tuple[str, SeriesKey], float]
"""By workload and series."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one workload had counted, by name and series, and which start of its container did."""

    origin: Origin | None
    values: tuple[Mapping[SeriesKey, float], ...]


class Increases:
    """Follows the samples of one wait, which begins where the workloads have these origins, or baselines.

    What was not there at the first look counts from 0; so does all of a container that was started after the
    wait began.
    """

    def __init__(
        self,
        began: datetime,
        origins: Mapping[str, Origin | None],
        baselines: Mapping[str, Baseline] = MappingProxyType({}),
    ) -> None:
        self._began = began
        self._origins = origins
        self._workloads = {name: _Workload(found.origin, found.values) for name, found in baselines.items()}

    def add(self, sample: Sample) -> list[Growths]:
        """How much each name's series have grown, those of all workloads together."""
        growths: list[Growths] = [{} for _ in sample.sums]
        for part in sample.parts:
            if part.workload not in self._workloads:
                self._workloads[part.workload] = _Workload(part.origin, self._first(part))
            workload = self._workloads[part.workload]
            workload.add(part.origin, part.sums, sample.time)
            for growth, track in zip(growths, workload.tracks, strict=True):
                growth |= {(part.workload, series): value for series, value in track.grown.items()}
        return growths

    def _first(self, part: Part) -> list[Mapping[SeriesKey, float]]:
        """What is counted from, of a workload without a baseline."""
        is_new = self._is_new(part.workload, part.origin)
        return [{} if is_new and not sum_.is_gauge else sum_.values for sum_ in part.sums]

    def _is_new(self, workload: str, origin: Origin | None) -> bool:
        if (before := self._origins.get(workload)) is not None:
            return origin != before
        started = origin.started_at if origin else None
        return started is not None and started > self._began


@dataclass(slots=True)
class _Track:
    """One name of one workload: where its series were, and how much they have grown."""

    last: dict[SeriesKey, float] = field(default_factory=dict)
    grown: dict[SeriesKey, float] = field(default_factory=dict)

    def follow_gauge(self, values: Mapping[SeriesKey, float]) -> None:
        """The differences from the first look; what is not there is 0."""
        ever = self.last.keys() | values.keys()
        self.grown = {series: values.get(series, 0.0) - self.last.get(series, 0.0) for series in ever}

    def follow_counter(self, values: Mapping[SeriesKey, float]) -> bool:
        """Adds what was counted since the last look; whether something was reset."""
        was_reset = False
        for series, value in values.items():
            last = self.last.get(series, 0.0)
            if value != value or value == last:
                self.grown.setdefault(series, 0.0)
                continue
            was_reset |= value < last
            self.grown[series] = self.grown.get(series, 0.0) + (value if value < last else value - last)
            self.last[series] = value
        return was_reset


class _Workload:
    def __init__(self, origin: Origin | None, counted: Iterable[Mapping[SeriesKey, float]]) -> None:
        self._origin = origin
        self._reset_at: datetime | None = None
        self.tracks = [_Track(dict(values)) for values in counted]

    def add(self, origin: Origin | None, sums: Sequence[Sum], time: datetime) -> None:
        if origin != self._origin:
            self._origin = origin
            if not self._was_reset_by(origin):
                self._forget(sums)
            self._reset_at = None
        for track, sum_ in zip(self.tracks, sums, strict=True):
            if sum_.is_gauge:
                track.follow_gauge(sum_.values)
            elif track.follow_counter(sum_.values):
                self._reset_at = time

    def _was_reset_by(self, origin: Origin | None) -> bool:
        """Whether the page of that start was seen before the start itself was."""
        started = origin.started_at if origin else None
        return self._reset_at is not None and (started is None or self._reset_at >= started)

    def _forget(self, sums: Sequence[Sum]) -> None:
        for track, sum_ in zip(self.tracks, sums, strict=True):
            if not sum_.is_gauge:
                track.last.clear()


class Changes:
    """Puts the increases into the sums of a wait's samples; with a window, the rates in it."""

    def __init__(self, increases: Increases, window: float = 0.0) -> None:
        self._increases = increases
        self._window = window
        self._points: deque[tuple[float, list[Growths]]] = deque()

    def measured(self, sample: Sample, now: float) -> Sample:
        """The sample with what has changed, as far as that is known. `now` in seconds, of a steady clock."""
        if sample.error:
            return sample
        growths = self._increases.add(sample)
        if not self._window:
            return _with_changes(sample, growths)
        reference = self._reference(now)
        self._note(now, growths)
        if reference is None:
            return sample
        since, before = reference
        seconds = now - since
        rates = [
            {series: (value - past.get(series, 0.0)) / seconds for series, value in growth.items()}
            for growth, past in zip(growths, before, strict=True)
        ]
        return _with_changes(sample, rates)

    def _reference(self, now: float) -> tuple[float, list[Growths]] | None:
        """The newest point that is a whole window ago."""
        while len(self._points) > 1 and now - self._points[1][0] >= self._window:
            self._points.popleft()
        return self._points[0] if self._points and now - self._points[0][0] >= self._window else None

    def _note(self, now: float, growths: list[Growths]) -> None:
        if not self._points or now - self._points[-1][0] >= self._window / _STEPS:
            self._points.append((now, growths))


def _with_changes(sample: Sample, growths: Sequence[Growths]) -> Sample:
    """A name that is absent has changed by nothing that is known; a series that is gone is judged no more."""

    def changed(index: int, sum_: Sum) -> Sum:
        if sum_.value is None:
            return sum_
        growth = growths[index]
        there = (
            growth.get((part.workload, series), 0.0)
            for part in sample.parts
            for series in part.sums[index].values
        )
        return replace(sum_, change=sum(growth.values()), changes=tuple(there))

    return replace(sample, sums=tuple(changed(index, sum_) for index, sum_ in enumerate(sample.sums)))
