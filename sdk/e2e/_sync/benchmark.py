"""A phase that is measured by what a monitoring knows of it."""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from e2e._sync._transport import pause
from e2e._sync.queries import Queries
from e2e.benchmark.asked import QueryFigures, in_phase, is_asked_once, query_figures
from e2e.benchmark.curves import Curve, curves_of, longest_interval
from e2e.benchmark.report import Report
from e2e.benchmark.usage import (
    SELECTORS,
    TARGETS,
    Unseen,
    is_ours,
    never_within,
    unseen_after,
    usages,
)
from e2e.cgroups.hierarchies import own_paths
from e2e.prometheus.results import QueryResult
from e2e_api.errors import E2EError, InvalidArgument, NotFound, Unavailable

_BEFORE = 30.0
"""Seconds before a phase whose looks are asked for too: one of them is the last before it began."""
_LOOKS, _LOOK_SECONDS = 100, 1.0
"""A query's values in a phase, and the least seconds between two."""
_PAUSE = 0.1
_PATIENCE = 10.0
"""The least seconds until everything is looked at again."""
_INTERVALS = 3
"""The scrape intervals that are waited for, and that tell of what was before a phase."""
_KNOWN = 300.0
"""Seconds whose looks tell the scrape interval."""


class MeasuredPhase:
    """A block whose workloads are measured; `report` is there when it has ended without an error."""

    def __init__(
        self,
        monitoring: Queries,
        name: str,
        queries: Mapping[str, str],
        step: float | None,
        settle: float | None,
    ) -> None:
        if step is not None and not step > 0:
            raise InvalidArgument(f"step: expected seconds above 0, not {step}")
        self.name = name
        self._monitoring = monitoring
        self._environment: str = monitoring._prometheus._session.environment
        self._queries = dict(queries)
        self._step = step
        self._settle = settle
        self._interval = 0.0
        """The longest scrape interval, in seconds, as far as it is known."""
        self._clock = 0.0
        """What this process' monotonic clock lacks of that of Prometheus, whose machine may be another."""
        self._entered = self._started = 0.0
        self._notes: list[str] = []
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """What was measured. Raises NotFound until the block has ended, and when it ended by an error."""
        if self._report is None:
            raise NotFound(f"phase {self.name} has no report: its block did not end, or ended by an error")
        return self._report

    def __enter__(self) -> Self:
        self._report = None
        for name, promql in self._queries.items():
            try:
                self._monitoring.query(in_phase(promql, _LOOK_SECONDS))
            except (InvalidArgument, Unavailable) as error:
                raise type(error)(f"query {name!r}: {error.message}", reason=error.reason) from None
        before = time.monotonic()
        (curve,) = curves_of(self._monitoring.query("time()"))
        self._clock = curve.points[0][1] - before
        # What was used up to here is not the phase's.
        self._interval = longest_interval(self._told((TARGETS,), self._now(), _KNOWN))
        self._entered = self._now()
        _, unseen = self._looked_after(self._entered, looks=1)
        self._notes = [f"not looked at before the phase: {unseen.late}"] if unseen.late else []
        self._started = self._now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._report = self._measure(self._started, self._now())

    def _measure(self, start: float, end: float) -> Report:
        # The second look tells what is used when nothing is measured.
        series, unseen = self._looked_after(end, looks=2)
        used = usages(series, start, end, self._entered)
        notes = [*self._notes, *_notes(unseen, never_within(series, start, end), bool(used))]
        queries = []
        for name, promql in self._queries.items():
            try:
                queries.append(self._ask(name, promql, start, end))
            except E2EError as error:  # what was measured is not lost by it
                queries.append(QueryFigures(name, promql, ()))
                notes.append(f"query {name}: {error.message}")
            else:
                if not queries[-1].series:
                    notes.append(f"query {name}: no value in the phase")
        return Report(
            name=self.name,
            environment=self._environment,
            started=datetime.fromtimestamp(start, UTC),
            seconds=end - start,
            usage=used,
            queries=tuple(queries),
            notes=tuple(notes),
        )

    def _looked_after(self, moment: float, *, looks: int) -> tuple[list[Curve], Unseen]:
        """All that tells of use, once everything was looked at after that time, or the patience is over."""
        intervals = _INTERVALS * self._interval
        patience = max(_PATIENCE, intervals) if self._settle is None else self._settle
        deadline = time.monotonic() + patience
        while True:
            is_over = time.monotonic() > deadline
            # The targets alone are the lesser question.
            for selectors, since in ((TARGETS,), moment), ((*SELECTORS, TARGETS), self._entered):
                now = self._now()
                series = self._told(selectors, now, now - since + max(_BEFORE, intervals))
                there = self._told(selectors, now)
                unseen = unseen_after(series, there, self._entered, moment, looks)
                if unseen.late and not is_over:
                    break
            else:
                return series, unseen
            pause(_PAUSE)

    def _told(self, selectors: Iterable[str], now: float, seconds: float = 0.0) -> list[Curve]:
        """All looks of the last seconds; for none, what is there now."""
        span = f"[{round(seconds * 1000)}ms]" if seconds else ""
        found = [self._monitoring.query(selector + span, now) for selector in selectors]
        curves = [curve for result in found for curve in curves_of(result)]
        own = own_paths()
        return [curve for curve in curves if is_ours(curve, self._environment, own)]

    def _ask(self, name: str, promql: str, start: float, end: float) -> QueryFigures:
        asked = in_phase(promql, end - start)
        if is_asked_once(promql):
            result: QueryResult = self._monitoring.query(asked, end)
        else:
            step = self._step or max(_LOOK_SECONDS, (end - start) / _LOOKS)
            result = self._monitoring.query_range(asked, start, end, step)
        return query_figures(name, promql, curves_of(result), start)

    def _now(self) -> float:
        """Seconds since 1970."""
        return time.monotonic() + self._clock


def _notes(unseen: Unseen, too_short_for: str, anybody: bool) -> Iterator[str]:
    if unseen.late:
        yield f"not looked at after the phase: {unseen.late}"
    if unseen.ended:
        yield f"ended before the phase did: {unseen.ended}"
    if too_short_for:
        yield f"too short for a look within it, so that only what differs around it is told: {too_short_for}"
    if not anybody:
        yield "nobody told what was used: is there a cAdvisor, or a workload with metrics?"


def measure(
    monitoring: Queries,
    name: str = "phase",
    *,
    queries: Mapping[str, str] | None = None,
    step: float | None = None,
    settle: float | None = None,
) -> MeasuredPhase:
    """A block whose workloads are measured.

    with measure(monitoring, "load", queries={"requests": "sum(rate(requests_total[5s]))"}) as phase:
        put_load_on(web)
    print(phase.report)

    The report has, for each workload and for the test process, CPU seconds, memory, network and disk, as
    cAdvisor tells them; where there is none, as the programs' own `process_...` metrics do. The block begins
    once everything was looked at, and ends two looks after the phase, so that each phase takes about two and
    a half of the monitoring's scrape intervals more.

    Args:
        monitoring: what `e2e.monitoring.start` gave, or the queries of a Prometheus.
        name: of the phase.
        queries: PromQL by name, such as request rates and latencies. Their values from the begin of the phase
            to its end are in the report, and their mean is what is compared; one with `$__range` in it, which
            stands for the phase's length, is asked once for the whole phase.
        step: seconds between two values of a query; None is a hundredth of the phase, a second at least.
        settle: seconds to wait, at the begin and at the end, until everything has been looked at again; None
            is three scrape intervals, ten seconds at least.

    Entering raises InvalidArgument for a wrong query; leaving raises what `monitoring.query` does, but a note
    tells of a given query that fails then.
    """
    return MeasuredPhase(monitoring, name, queries or {}, step, settle)
