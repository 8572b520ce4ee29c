"""One wait for metrics: how it is judged, and what is told when it was in vain."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from e2e_api.errors import LimitExceeded, NotFound
from e2e_api.looks import Stability
from e2e_api.quantities import format_duration
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_controller.metrics import (
    AbsentMetric,
    Baseline,
    Changes,
    Expectation,
    Hints,
    History,
    Increases,
    Measure,
    Sample,
    ScrapeError,
    Selection,
    Sum,
    hints_of,
    utc_now,
    watch,
)
from e2e_controller.metrics.expectations import format_value
from e2e_controller.metrics.messages import matched_to_proto
from e2e_controller.objects import Object
from e2e_controller.offload import offload
from e2e_controller.server.evidence import Seen, metric_failure
from e2e_controller.server.metric_targets import Instances, MetricTarget

_ERROR_LENGTH = 300
_MOST_LISTED = 10


class MetricWait:
    """One wait's state. `stable_for` is how many seconds the expectation must hold without a break.

    An increase is counted from the `baselines`, by workload; from the begin where there is none.
    """

    def __init__(
        self,
        instances: Instances,
        selection: Selection,
        expectation: Expectation,
        stable_for: float,
        baselines: Mapping[str, Baseline],
    ) -> None:
        self._instances = instances
        self._selection = selection
        self._expectation = expectation
        self._stable_for = stable_for
        self._stability = Stability(stable_for)
        self._history = History()
        self._changes: Changes | None = None
        if expectation.measure is not Measure.VALUE:
            self._changes = Changes(Increases(utc_now(), instances.origins, baselines), expectation.window)

    async def run(self) -> Sample:
        """The first sample that is as expected, for as long as was asked."""
        clock = asyncio.get_running_loop().time
        async with aclosing(watch(partial(self._instances.look, self._selection))) as samples:
            async for seen in samples:
                sample = self._changes.measured(seen, clock()) if self._changes else seen
                self._history.add(sample)
                if self._stability.add(await self._holds(sample), clock()):
                    return sample
        raise AssertionError("watching metrics never ends by itself")

    def text(self, how: str) -> str:
        """What was waited for, and why it did not come."""
        last = self._history.last
        told = f"last: {_describe(last)}" if last else "it was never scraped"
        what = f"{listed(self._selection.names)} of {self._instances} to be: {self._words}"
        return f"waited for {what}; {how}; {told}"

    async def evidence(self, object_: Object | None = None) -> pb.MetricFailure:
        """The history, near misses, the series that matched, and the state of what stands in the way."""
        object_ = object_ or self._instances.in_the_way
        hints = [(target, await self._hints(target)) for target in self._instances.all]
        seen = Seen(
            similar=tuple(dict.fromkeys(name for _, found in hints for name in found.similar)),
            label_misses=tuple(dict.fromkeys(miss for _, found in hints for miss in found.label_misses)),
            matched=tuple(series for target, found in hints for series in self._matched(target, found)),
            longest_held=self._stability.longest if self._stable_for else None,
        )
        return metric_failure(self._words, self._history, seen, object_)

    @property
    def _words(self) -> str:
        stable = f" for {format_duration(self._stable_for)} without a break" if self._stable_for else ""
        return f"{self._expectation}{stable}"

    async def _holds(self, sample: Sample) -> bool:
        """Whether the sample is as expected; a failed scrape is not. Raises `NotFound`."""
        if sample.error:
            return False
        try:
            return self._expectation.holds(sample.sums, self._selection.absent)
        except AbsentMetric as error:
            details = [await self.evidence()]
            message = f"{_without(sample, error.names) or self._instances}: {error}"
            raise NotFound(message, reason="AbsentMetric", details=details) from error

    async def _hints(self, target: MetricTarget) -> Hints:
        page = target.page
        try:
            return Hints() if page is None else await offload(hints_of, page, self._selection)
        except (ScrapeError, LimitExceeded):
            return Hints()

    def _matched(self, target: MetricTarget, hints: Hints) -> Iterator[pb.Series]:
        """The series that matched; first of all those that are not as expected, where each must be."""
        workload = target.key.name if len(self._instances.all) > 1 else ""
        for sum_ in hints.sums:
            for series, value in sorted(sum_.values.items(), key=self._rank):
                yield matched_to_proto(sum_.name, series, value, workload)

    def _rank(self, item: tuple[object, float]) -> bool:
        is_judged = self._expectation.each and self._expectation.measure is Measure.VALUE
        return is_judged and self._expectation.holds_alone(item[1])


def listed(texts: Sequence[str]) -> str:
    """The first of many."""
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(texts[:_MOST_LISTED]) + more


def _without(sample: Sample, names: Sequence[str]) -> str:
    """Which of several workloads does not have these metrics."""
    if len(sample.parts) == 1:
        return ""
    lacking = (
        part.workload for part in sample.parts if any(s.name in names and s.value is None for s in part.sums)
    )
    return ", ".join(lacking)


def _describe(sample: Sample) -> str:
    if sample.error:
        return sample.error[:_ERROR_LENGTH]
    return listed([_describe_sum(sample, index, sum_) for index, sum_ in enumerate(sample.sums)])


def _describe_sum(sample: Sample, index: int, sum_: Sum) -> str:
    told = [] if sum_.value is None else [f"{sum_.series} series"]
    if sum_.change is not None:
        told.append(f"changed by {sum_.change:g}")
    if len(sample.parts) > 1:
        told.append(listed([f"{p.workload}: {format_value(p.sums[index].value)}" for p in sample.parts]))
    return format_value(sum_.value) + (f" ({', '.join(told)})" if told else "")
