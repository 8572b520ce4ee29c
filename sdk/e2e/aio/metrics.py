"""The verbs for metrics: of a workload, and of several together."""

from collections.abc import Sequence

from e2e.aio.client import CALL_SECONDS
from e2e.aio.session import AsyncSession
from e2e.aio.sums import AsyncMetricSums, Sums
from e2e.matchers import (
    Baseline,
    Expectation,
    ExpectationKind,
    Judge,
    LabelMatchers,
    as_label_matchers,
)
from e2e.messages import matcher_messages, series_of
from e2e.options import Named
from e2e.values import Absent, Series
from e2e_api.v1 import metric_service_pb2

_ABSENT = Expectation(ExpectationKind.ABSENT)


class AsyncInstrumented:
    """What can be asked of a workload that serves Prometheus metrics (`metrics=` names the port)."""

    def __init__(self, session: AsyncSession, name: str) -> None:
        self._session = session
        self._name = name

    async def wait_sum_metrics(
        self,
        expectation: Expectation | Judge,
        *names: str,
        matchers: LabelMatchers | None = None,
        count: bool = False,
        absent: Absent = Absent.WAIT,
        stable_for: float = 0.0,
        timeout: float | None = None,
    ) -> Sums:
        """Waits until the sums of the named metric families are as expected; gives what was judged, by name.

        A sum is over all series of the family that match all `matchers`. Of a histogram or summary it is that
        of the observed values, with `count` that of the number of observations; with `count`, a family of
        another type sums to the number of its series. A failed scrape is retried.

        Args:
            expectation: `equals(2)` and its like, alone or in `increased_by`, `rate`, `each`, or any callable
                that takes one float for each name. A callable is asked about each change, and again several
                times a second.
            names: metric families; one sum is made for each.
            matchers: `{"label": "value"}`, or a list of `LabelMatcher`.
            count: sum numbers of observations.
            absent: what a metric that is not on the page means; with SKIP a callable gets fewer sums. Where
                SKIP leaves nothing to judge (none is there, or not both of two), the wait goes on.
            stable_for: seconds for which the expectation must hold without a break, at every look; a failed
                scrape is a break, as nobody knows what it would have shown.
            timeout: seconds; None is the environment's.

        Raises WaitTimeout with the history of values, WaitFailed when the workload has exited, NotFound for
        an absent metric with `Absent.FAIL`, InvalidArgument for a workload without `metrics`.
        """
        sums = AsyncMetricSums(
            self._session, [self._name], names, matchers=matchers, count=count, absent=absent
        )
        return await sums.wait(expectation, stable_for=stable_for, timeout=timeout)

    async def wait_removed_metric(
        self,
        *names: str,
        matchers: LabelMatchers | None = None,
        stable_for: float = 0.0,
        timeout: float | None = None,
    ) -> None:
        """Waits until no series of any of the metric families matches any more.

        Raises as `wait_sum_metrics`.
        """
        sums = AsyncMetricSums(self._session, [self._name], names, matchers=matchers, absent=Absent.SKIP)
        await sums.wait(_ABSENT, stable_for=stable_for, timeout=timeout)

    async def sum_metrics(
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
        sums = AsyncMetricSums(
            self._session, [self._name], names, matchers=matchers, count=count, absent=absent
        )
        return await sums.now()

    async def sum_metric(
        self, name: str, *, matchers: LabelMatchers | None = None, count: bool = False
    ) -> float:
        """The sum of one metric family now. Raises as `sum_metrics`."""
        return (await self.sum_metrics(name, matchers=matchers, count=count))[name]

    async def baseline(
        self, *names: str, matchers: LabelMatchers | None = None, count: bool = False
    ) -> Baseline:
        """What the named metric families are now, for `increased_by(..., since=...)` to count from.

        The wait must be for the same names, matchers and `count`. What is absent now counts from 0. Raises
        NotRunning while the workload does not run, and Unavailable when the scrape failed.
        """
        sums = AsyncMetricSums(self._session, [self._name], names, matchers=matchers, count=count)
        return await sums.baseline()

    async def metrics(self, *names: str, matchers: LabelMatchers | None = None) -> list[Series]:
        """The matching series of the metrics page now, with their labels; of all families when none is named.

        Raises NotRunning while the workload does not run, Unavailable when the scrape failed, and
        LimitExceeded where more lines match than anybody reads.
        """
        transport = self._session.client.transport
        request = metric_service_pb2.GetMetricsRequest(
            key=self._session.key(self._name),
            names=names,
            matchers=matcher_messages(as_label_matchers(matchers)),
        )
        response = await transport.unary(transport.metrics.GetMetrics, request, CALL_SECONDS)
        return [series_of(series) for series in response.series]

    async def metrics_page(self) -> str:
        """The metrics page now, as it is served. Raises as `metrics`."""
        transport = self._session.client.transport
        request = metric_service_pb2.GetMetricsPageRequest(key=self._session.key(self._name))
        return (await transport.unary(transport.metrics.GetMetricsPage, request, CALL_SECONDS)).text


class AsyncInstrumentedTogether:
    """What can be asked of several workloads of an environment at once: their sums are added up.

    All are scraped for each look. A metric that one of them does not have is absent; with `Absent.SKIP`, the
    sums of the others are added up.
    """

    _session: AsyncSession

    async def wait_sum_metrics(
        self,
        workloads: Sequence[Named | str],
        expectation: Expectation | Judge,
        *names: str,
        matchers: LabelMatchers | None = None,
        count: bool = False,
        absent: Absent = Absent.WAIT,
        stable_for: float = 0.0,
        timeout: float | None = None,
    ) -> Sums:
        """Waits until the sums over all the workloads are as expected; gives what was judged, by name.

        The arguments are those of `Workload.wait_sum_metrics`. Raises what that does, WaitFailed as soon as
        one of the workloads has exited.
        """
        sums = AsyncMetricSums(
            self._session, _names(workloads), names, matchers=matchers, count=count, absent=absent
        )
        return await sums.wait(expectation, stable_for=stable_for, timeout=timeout)

    async def wait_removed_metric(
        self,
        workloads: Sequence[Named | str],
        *names: str,
        matchers: LabelMatchers | None = None,
        stable_for: float = 0.0,
        timeout: float | None = None,
    ) -> None:
        """Waits until none of the workloads has a series of any of the metric families that matches."""
        sums = AsyncMetricSums(self._session, _names(workloads), names, matchers=matchers, absent=Absent.SKIP)
        await sums.wait(_ABSENT, stable_for=stable_for, timeout=timeout)

    async def sum_metrics(
        self,
        workloads: Sequence[Named | str],
        *names: str,
        matchers: LabelMatchers | None = None,
        count: bool = False,
        absent: Absent = Absent.FAIL,
    ) -> Sums:
        """The sums over all the workloads now, by name. Raises as `Workload.sum_metrics`."""
        sums = AsyncMetricSums(
            self._session, _names(workloads), names, matchers=matchers, count=count, absent=absent
        )
        return await sums.now()

    async def baseline(
        self,
        workloads: Sequence[Named | str],
        *names: str,
        matchers: LabelMatchers | None = None,
        count: bool = False,
    ) -> Baseline:
        """What the metric families are now, of all the workloads. Raises as `Workload.baseline`."""
        sums = AsyncMetricSums(self._session, _names(workloads), names, matchers=matchers, count=count)
        return await sums.baseline()


def _names(workloads: Sequence[Named | str]) -> list[str]:
    return [workload if isinstance(workload, str) else workload.name for workload in workloads]
