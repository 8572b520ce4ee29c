"""The verbs for metrics that workloads have."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e import evidence
from e2e._sync.client import CALL_SECONDS
from e2e._sync.session import Session
from e2e.matchers import Expectation, Judge, LabelMatchers, as_label_matchers
from e2e.messages import expectation_message, matcher_messages, selection_message, series_of, sums_of
from e2e.values import Absent, Series
from e2e_api.errors import (
    DEADLINE_MARGIN,
    E2EError,
    InvalidArgument,
    NotFound,
    Unavailable,
    WaitFailed,
    WaitTimeout,
)
from e2e_api.v1 import metric_service_pb2

_HISTORY = 10
_ASK_AGAIN = 0.25
"""Seconds after which a callable is asked about the same values again: it may depend on more than them."""
Sums = dict[str, float]
_Verdict = Callable[[Sums], bool]


class Instrumented:
    """What can be asked of a workload that serves Prometheus metrics (`metrics=` names the port)."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name

    def wait_sum_metrics(
        self,
        expectation: Expectation | Judge,
        *names: str,
        matchers: LabelMatchers | None = None,
        count: bool = False,
        absent: Absent = Absent.WAIT,
        timeout: float | None = None,
    ) -> Sums:
        """Waits until the sums of the named metric families are as expected; gives them by name.

        A sum is over all series of the family that match all `matchers`. Of a histogram or summary it is that
        of the observed values, with `count` that of the number of observations; with `count`, a family of
        another type sums to the number of its series. A failed scrape is retried.

        Args:
            expectation: `equals(2)` and its like, or any callable that takes one float for each name. A
                callable is asked about each change, and again several times a second.
            names: metric families; one sum is made for each.
            matchers: `{"label": "value"}`, or a list of `LabelMatcher`.
            count: sum numbers of observations.
            absent: what a metric that is not on the page means; with SKIP a callable gets fewer sums. Where
                SKIP leaves nothing to judge (none is there, or not both of two), the wait goes on.
            timeout: seconds; None is the environment's.

        Raises WaitTimeout with the history of values, WaitFailed when the workload has exited, NotFound for
        an absent metric with `Absent.FAIL`, InvalidArgument for a workload without `metrics`.
        """
        if not names:
            raise InvalidArgument("give at least one metric name")
        seconds = self._session.seconds(timeout)
        selection = selection_message(
            self._session.key(self._name), names, as_label_matchers(matchers), count, absent
        )
        if isinstance(expectation, Expectation):
            expectation.check_count(len(names))
            return self._wait_judged_there(expectation, selection, seconds)

        def verdict(sums: Sums) -> bool:
            missing = [name for name in names if name not in sums]
            if missing and absent is Absent.FAIL:
                raise NotFound(f"{', '.join(missing)} of {self._name}: not on the metrics page")
            if (missing and absent is Absent.WAIT) or not sums:
                return False
            return bool(expectation(*(sums[name] for name in names if name in sums)))

        return self._wait_judged_here(verdict, words_for(expectation), selection, seconds)

    def wait_removed_metric(
        self, name: str, *, matchers: LabelMatchers | None = None, timeout: float | None = None
    ) -> None:
        """Waits until no series of the metric family matches any more. Raises as `wait_sum_metrics`."""
        seconds = self._session.seconds(timeout)
        selection = selection_message(
            self._session.key(self._name), [name], as_label_matchers(matchers), False, Absent.SKIP
        )
        self._wait_judged_here(lambda sums: name not in sums, "absent", selection, seconds)

    def sum_metrics(
        self,
        *names: str,
        matchers: LabelMatchers | None = None,
        count: bool = False,
        absent: Absent = Absent.FAIL,
    ) -> Sums:
        """The sums of the named metric families now, by name, of one scrape.

        Raises NotFound for an absent metric; with `Absent.SKIP` it is left out instead. Raises NotRunning
        while the workload does not run, and Unavailable when the scrape failed.
        """
        if absent is Absent.WAIT:
            raise InvalidArgument("sum_metrics looks once: absent can be FAIL or SKIP")
        selection = selection_message(
            self._session.key(self._name), names, as_label_matchers(matchers), count, absent
        )
        transport = self._session.client.transport
        request = metric_service_pb2.SumMetricsRequest(selection=selection)
        response = transport.unary(transport.metrics.SumMetrics, request, CALL_SECONDS)
        sums = sums_of(response.sample)
        missing = [name for name in names if name not in sums]
        if missing and absent is Absent.FAIL:
            raise NotFound(f"{', '.join(missing)} of {self._name}: not on the metrics page")
        return sums

    def sum_metric(self, name: str, *, matchers: LabelMatchers | None = None, count: bool = False) -> float:
        """The sum of one metric family now. Raises as `sum_metrics`."""
        return (self.sum_metrics(name, matchers=matchers, count=count))[name]

    def metrics(self, *names: str, matchers: LabelMatchers | None = None) -> list[Series]:
        """The matching lines of the metrics page now; of all families when none is named.

        Raises NotRunning while the workload does not run, Unavailable when the scrape failed, and
        LimitExceeded where more lines match than anybody reads.
        """
        transport = self._session.client.transport
        request = metric_service_pb2.GetMetricsRequest(
            key=self._session.key(self._name),
            names=names,
            matchers=matcher_messages(as_label_matchers(matchers)),
        )
        response = transport.unary(transport.metrics.GetMetrics, request, CALL_SECONDS)
        return [series_of(series) for series in response.series]

    def _wait_judged_there(
        self, expectation: Expectation, selection: metric_service_pb2.MetricSelection, seconds: float
    ) -> Sums:
        transport = self._session.client.transport
        request = metric_service_pb2.WaitMetricsRequest(
            selection=selection, expectation=expectation_message(expectation)
        )
        started = time.monotonic()
        try:
            response = transport.unary(transport.metrics.WaitMetrics, request, seconds + DEADLINE_MARGIN)
        except (WaitFailed, WaitTimeout, NotFound, Unavailable) as error:
            raise self._explained(error, str(expectation), selection.names, started) from None
        return sums_of(response.sample)

    def _wait_judged_here(
        self,
        verdict: _Verdict,
        expected: str,
        selection: metric_service_pb2.MetricSelection,
        seconds: float,
    ) -> Sums:
        transport = self._session.client.transport
        request = metric_service_pb2.WatchMetricsRequest(selection=selection)
        history: deque[metric_service_pb2.MetricSample] = deque(maxlen=_HISTORY)
        started = time.monotonic()
        method = transport.metrics.WatchMetrics
        try:
            with transport.repeating(method, request, seconds, _ASK_AGAIN) as responses:
                for response in responses:
                    if not history or history[-1] is not response.sample:
                        history.append(response.sample)
                    sums = sums_of(response.sample)
                    if not response.sample.error and verdict(sums):
                        return sums
            raise WaitFailed("the controller ended the watch")
        except (WaitFailed, WaitTimeout, NotFound, Unavailable) as error:
            raise self._explained(error, expected, selection.names, started, list(history)) from None

    def _explained(
        self,
        error: E2EError,
        expected: str,
        names: Sequence[str],
        started: float,
        history: Sequence[metric_service_pb2.MetricSample] = (),
    ) -> E2EError:
        seconds = time.monotonic() - started
        return evidence.explain_metrics(error, expected, names, self._name, seconds, history)


def words_for(judge: Judge) -> str:
    """What an error says that a callable expects: its name, or where it stands."""
    name = getattr(judge, "__qualname__", "") or repr(judge)
    function = name.rpartition("<locals>.")[2]
    code = getattr(judge, "__code__", None)
    if function == "<lambda>" and code is not None:
        function = f"the lambda at {Path(code.co_filename).name}:{code.co_firstlineno}"
    return f"as {function} expects"
