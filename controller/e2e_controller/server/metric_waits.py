"""One wait for metrics: how it is judged, and what is told when it was in vain."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from itertools import chain, islice

from e2e_api.errors import LimitExceeded, NotFound
from e2e_api.looks import Stability
from e2e_api.quantities import format_duration
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_controller.metrics import (
    AbsentMetric,
    AbsentPolicy,
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
    SeriesKey,
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
_HINT_SECONDS = 0.1


class MetricWatch:
    """What was seen at some workloads, and the evidence where it is not what somebody waits for."""

    def __init__(self, instances: Instances, selection: Selection) -> None:
        self._instances = instances
        self._selection = selection
        self._history = History()

    async def differing(self) -> AsyncGenerator[Sample, None]:
        """Each sample that differs from the one before. Raises `EndedError`, and `NotFound` where asked."""
        async with aclosing(watch(partial(self._instances.look, self._selection))) as samples:
            while True:
                sample = await self._instances.unless_ended(anext(samples))
                differs = self._history.add(sample)
                await self.check_there(sample)
                if differs:
                    yield sample

    async def check_there(self, sample: Sample) -> None:
        """Raises `NotFound` where a metric is absent that shall not be."""
        missing = [sum_.name for sum_ in sample.sums if sum_.value is None]
        if missing and self._selection.absent is AbsentPolicy.FAIL:
            raise await self._absent(sample, AbsentMetric(missing))

    def text(self, how: str) -> str:
        """What was waited for, and why it did not come."""
        last = self._history.last
        told = f"last: {_describe(last)}" if last else "it was never scraped"
        what = f"{listed(self._selection.names)} of {self._instances} to be: {self._words}"
        return f"waited for {what}; {how}; {told}"

    async def evidence(self, ended: Object | None = None) -> pb.MetricFailure:
        """The history, near misses, the series that matched, and the state of what stands in the way.

        Where a workload has `ended`, that is the reason, and nothing on the pages is.
        """
        hints = [] if ended else await self._all_hints()
        matched = [series for target, found in hints for series in self._matched(target, found)]
        last = self._history.last
        seen = Seen(
            similar=tuple(dict.fromkeys(name for _, found in hints for name in found.similar)),
            label_misses=tuple(dict.fromkeys(miss for _, found in hints for miss in found.label_misses)),
            matched=tuple(matched),
            matched_count=max(len(matched), sum(sum_.series for sum_ in last.sums) if last else 0),
            longest_held=self._longest_held,
        )
        return metric_failure(self._words, self._history, seen, ended or self._instances.in_the_way)

    async def _absent(self, sample: Sample, error: AbsentMetric) -> NotFound:
        message = f"{_without(sample, error.names) or self._instances}: {error}"
        return NotFound(message, reason="AbsentMetric", details=[await self.evidence()])

    @property
    def _words(self) -> str:
        return "as the caller expects"

    @property
    def _longest_held(self) -> float | None:
        return None

    def _worth_telling(self, sum_: Sum) -> Iterator[tuple[SeriesKey, float]]:
        """The series of a sum, in the order in which they are told."""
        return iter(sum_.values.items())

    async def _all_hints(self) -> list[tuple[MetricTarget, Hints]]:
        """What the pages say, as far as there is time: whoever waits is about to give up."""
        found = []
        with suppress(TimeoutError):
            async with asyncio.timeout(_HINT_SECONDS):
                for target in self._instances.all[:_MOST_LISTED]:
                    found.append((target, await self._hints(target)))
        return found

    async def _hints(self, target: MetricTarget) -> Hints:
        page, selection = target.page, self._selection
        if page is None:
            return Hints()
        try:
            if selection.is_quick_on(page):
                return hints_of(page, selection)
            return await offload(hints_of, page, selection)
        except (ScrapeError, LimitExceeded):
            return Hints()

    def _matched(self, target: MetricTarget, hints: Hints) -> Iterator[pb.Series]:
        """The first series that matched; those that are not as expected, where each must be, before all."""
        workload = target.key.name if len(self._instances.all) > 1 else ""
        most = max(1, _MOST_LISTED // (len(self._instances.all) * len(hints.sums) or 1))
        for sum_ in hints.sums:
            for series, value in islice(self._worth_telling(sum_), most):
                yield matched_to_proto(sum_.name, series, value, workload)


class MetricWait(MetricWatch):
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
        super().__init__(instances, selection)
        self._expectation = expectation
        self._stable_for = stable_for
        self._stability = Stability(stable_for)
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

    @property
    def _words(self) -> str:
        stable = f" for {format_duration(self._stable_for)} without a break" if self._stable_for else ""
        return f"{self._expectation}{stable}"

    @property
    def _longest_held(self) -> float | None:
        return self._stability.longest if self._stable_for else None

    async def _holds(self, sample: Sample) -> bool:
        """Whether the sample is as expected; a failed scrape is not. Raises `NotFound`."""
        if sample.error:
            return False
        try:
            return self._expectation.holds(sample.sums, self._selection.absent)
        except AbsentMetric as error:
            raise await self._absent(sample, error) from error

    def _worth_telling(self, sum_: Sum) -> Iterator[tuple[SeriesKey, float]]:
        """Those that are not as expected come first, where each must be."""
        expectation = self._expectation
        if not expectation.each or expectation.measure is not Measure.VALUE:
            return iter(sum_.values.items())
        wrong = [item for item in sum_.values.items() if not expectation.holds_alone(item[1])]
        return chain(wrong, (item for item in sum_.values.items() if expectation.holds_alone(item[1])))


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
