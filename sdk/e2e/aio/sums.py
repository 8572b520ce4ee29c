"""Asking for sums of metrics and waiting for them, of one workload or of several together."""

import time
from collections.abc import Callable, Sequence

from e2e.aio.client import CALL_SECONDS
from e2e.aio.session import AsyncSession
from e2e.matchers import (
    Baseline,
    Expectation,
    ExpectationKind,
    Judge,
    LabelMatchers,
    Measure,
    as_label_matchers,
    format_number,
    words_for,
)
from e2e.messages import expectation_message, judged_of, selection_message, sums_of
from e2e.metric_evidence import explain_absent, explain_metrics
from e2e.values import Absent
from e2e_api.errors import (
    DEADLINE_MARGIN,
    E2EError,
    InvalidArgument,
    NotFound,
    Unavailable,
    WaitFailed,
    WaitTimeout,
)
from e2e_api.looks import Stability, add_spread
from e2e_api.v1 import metric_service_pb2

Sums = dict[str, float]
_HISTORY = 10
_ASK_AGAIN = 0.25
"""Seconds after which a callable is asked about the same values again: it may depend on more than them."""
_Verdict = Callable[[metric_service_pb2.MetricSample], bool]


class AsyncMetricSums:
    """The sums of some metric families, over all series that match, of all the workloads."""

    def __init__(
        self,
        session: AsyncSession,
        workloads: Sequence[str],
        names: Sequence[str],
        *,
        matchers: LabelMatchers | None = None,
        count: bool = False,
        absent: Absent = Absent.WAIT,
    ) -> None:
        if not workloads:
            raise InvalidArgument("give at least one workload")
        if not names:
            raise InvalidArgument("give at least one metric name")
        for name in names:
            if not isinstance(name, str):
                raise InvalidArgument(f"expected the name of a metric, not {name!r}")
        keys = [session.key(name) for name in workloads]
        self._session = session
        self._names = names
        self._absent = absent
        self._workloads = workloads
        self._whose = ", ".join(workloads)
        self._selection = selection_message(keys, names, as_label_matchers(matchers), count, absent)

    async def now(self) -> Sums:
        """The sums of one look. Raises NotFound for an absent one, unless it shall be skipped."""
        if self._absent is Absent.WAIT:
            raise InvalidArgument("sum_metrics looks once: absent can be FAIL or SKIP")
        transport = self._session.client.transport
        request = metric_service_pb2.SumMetricsRequest(selection=self._selection)
        try:
            response = await transport.unary(transport.metrics.SumMetrics, request, CALL_SECONDS)
        except NotFound as error:
            raise explain_absent(error) from None
        self._check_absent(response.sample)
        return sums_of(response.sample)

    async def baseline(self) -> Baseline:
        """What there is now, for `increased_by` to count from."""
        transport = self._session.client.transport
        request = metric_service_pb2.GetBaselineRequest(selection=self._selection)
        response = await transport.unary(transport.metrics.GetBaseline, request, CALL_SECONDS)
        data = response.baseline.SerializeToString()
        return Baseline(tuple(self._workloads), tuple(self._names), data)

    async def wait(
        self, expectation: Expectation | Judge, *, stable_for: float = 0.0, timeout: float | None = None
    ) -> Sums:
        """Waits until the sums are as expected, for `stable_for` seconds without a break."""
        seconds = self._session.seconds(timeout)
        if stable_for and not 0 <= stable_for < seconds:
            wanted = f"expected seconds below the timeout ({seconds:g})"
            raise InvalidArgument(f"stable_for: {wanted}, not {stable_for}")
        stable = f" for {format_number(stable_for)} s without a break" if stable_for else ""
        if not isinstance(expectation, Expectation):
            words = words_for(expectation) + stable
            return await self._wait_judged_here(self._verdict(expectation), words, stable_for, seconds)
        expectation.check_count(len(self._names))
        if expectation.window and expectation.window >= seconds:
            raise InvalidArgument(f"{expectation} is not known before the timeout ({seconds:g} s)")
        words = ("absent" if expectation.kind is ExpectationKind.ABSENT else str(expectation)) + stable
        return await self._wait_judged_there(expectation, words, stable_for, seconds)

    def _verdict(self, judge: Judge) -> _Verdict:
        def verdict(sample: metric_service_pb2.MetricSample) -> bool:
            self._check_absent(sample)
            sums = sums_of(sample)
            complete = all(name in sums for name in self._names)
            if not sums or (self._absent is Absent.WAIT and not complete):
                return False
            return bool(judge(*(sums[name] for name in self._names if name in sums)))

        return verdict

    async def _wait_judged_there(
        self, expectation: Expectation, words: str, stable_for: float, seconds: float
    ) -> Sums:
        transport = self._session.client.transport
        request = metric_service_pb2.WaitMetricsRequest(
            selection=self._selection, expectation=expectation_message(expectation)
        )
        if stable_for:
            request.stable_for.FromNanoseconds(int(stable_for * 1e9))
        if expectation.since is not None:
            request.baseline.ParseFromString(expectation.since.data)
        started = time.monotonic()
        try:
            response = await transport.unary(
                transport.metrics.WaitMetrics, request, seconds + DEADLINE_MARGIN
            )
        except (WaitFailed, WaitTimeout, NotFound, Unavailable) as error:
            unit = " per second" if expectation.measure is Measure.RATE else ""
            raise self._explained(error, words, started, unit=unit) from None
        return judged_of(response.sample)

    async def _wait_judged_here(
        self, verdict: _Verdict, words: str, stable_for: float, seconds: float
    ) -> Sums:
        transport = self._session.client.transport
        request = metric_service_pb2.WatchMetricsRequest(selection=self._selection)
        history: list[metric_service_pb2.MetricSample] = []
        stability = Stability(stable_for)
        started = time.monotonic()
        method = transport.metrics.WatchMetrics
        interval = min(_ASK_AGAIN, stable_for or _ASK_AGAIN)
        try:
            limit = seconds + DEADLINE_MARGIN
            async with transport.repeating(method, request, limit, interval) as responses:
                async for response in responses:
                    sample = response.sample
                    if not history or history[-1] is not sample:
                        add_spread(history, sample, _HISTORY, lambda kept: kept.time.ToMilliseconds())
                    if stability.add(not sample.error and verdict(sample), time.monotonic()):
                        return sums_of(sample)
            raise WaitFailed("the controller ended the watch")
        except (WaitFailed, WaitTimeout, NotFound, Unavailable) as error:
            held = stability.longest if stable_for else None
            raise self._explained(error, words, started, history, held) from None

    def _explained(
        self,
        error: E2EError,
        expected: str,
        started: float,
        history: Sequence[metric_service_pb2.MetricSample] = (),
        held: float | None = None,
        unit: str = "",
    ) -> E2EError:
        seconds = time.monotonic() - started
        return explain_metrics(error, expected, self._names, self._whose, seconds, history, held, unit)

    def _check_absent(self, sample: metric_service_pb2.MetricSample) -> None:
        """Raises NotFound for what is absent, and shall not be, naming whose pages do not have it."""
        there = sums_of(sample)
        missing = [name for name in self._names if name not in there]
        if missing and self._absent is Absent.FAIL:
            parts = sample.workloads
            lacking = [p.workload for p in parts if not all(found.HasField("value") for found in p.sums)]
            whose = ", ".join(lacking) or self._whose
            raise NotFound(f"{', '.join(missing)} of {whose}: not on the metrics page")
