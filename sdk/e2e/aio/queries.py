"""What a Prometheus knows, and waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from e2e.aio import http
from e2e.aio._transport import pause
from e2e.aio.client import CALL_SECONDS
from e2e.aio.workload import AsyncWorkload
from e2e.matchers import Expectation, words_for
from e2e.prometheus.answers import alerts_of, data_of, result_of, targets_of
from e2e.prometheus.judging import Asked, ResultJudge, is_as_expected
from e2e.prometheus.results import Alert, Matrix, QueryResult, ScrapeTarget
from e2e_api.errors import InvalidArgument, NotRunning, Unavailable, WaitFailed, WaitTimeout

if TYPE_CHECKING:
    import httpx

_LOOKS = (0.05, 0.5)
"""Seconds between the first looks, and between those of a long wait."""
_LOOK_SECONDS = 5.0
_TOLD = (400, 422, 503)
"""Codes with which Prometheus says in JSON what is wrong."""
_RETRIED = (NotRunning, Unavailable, WaitTimeout)
Moment = datetime | float
"""A time, or seconds since 1970."""


class AsyncQueries:
    """What a Prometheus, or whatever has its API, knows.

    prometheus = e2edb.prometheus(env, "prometheus-1")
    ...
    await e2e.AsyncQueries(prometheus).wait_query("up", equals(1))
    """

    def __init__(self, prometheus: AsyncWorkload, *, port: str = "http") -> None:
        """Nothing is asked yet. `port` is the name of the port of its API."""
        self._prometheus = prometheus
        self._port = port

    async def query(self, promql: str, time: Moment | None = None) -> QueryResult:
        """The result of a query at one time: mostly a `Vector`.

        Args:
            promql: the query.
            time: None is now, by Prometheus' clock.

        Raises InvalidArgument for a wrong query, NotRunning while Prometheus does not run, and Unavailable or
        WaitTimeout where it has no answer.
        """
        asked = {"query": promql} if time is None else {"query": promql, "time": _seconds(time)}
        async with http.new_client() as client:
            return result_of(*await self._ask(client, "query", asked, CALL_SECONDS))

    async def query_range(self, promql: str, start: Moment, end: Moment, step: timedelta | float) -> Matrix:
        """The results of a query from `start` to `end`, both included, every `step` (seconds).

        Raises as `query`.
        """
        seconds = step.total_seconds() if isinstance(step, timedelta) else float(step)
        if not seconds > 0:
            raise InvalidArgument(f"step: expected seconds above 0, not {step}")
        asked = {"query": promql, "start": _seconds(start), "end": _seconds(end), "step": repr(seconds)}
        async with http.new_client() as client:
            result = result_of(*await self._ask(client, "query_range", asked, CALL_SECONDS))
        if not isinstance(result, Matrix):
            raise Unavailable(f"a query over time gave {type(result).__name__}", reason="NoAnswer")
        return result

    async def wait_query(
        self, promql: str, expectation: Expectation | ResultJudge, timeout: float | None = None
    ) -> QueryResult:
        """Waits until the result of a query is as expected; gives it.

        Args:
            promql: the query, asked at the present time again and again.
            expectation: `equals(1)` and its like, which each value of the result must meet, of which there
                must be one at least; or a callable that takes the whole `QueryResult`.
            timeout: seconds; None is the environment's.

        Raises WaitTimeout with the last results, WaitFailed at once when Prometheus can no longer answer, and
        InvalidArgument for a wrong query, or one whose result the expectation cannot judge.
        """
        asked = Asked(promql, self._prometheus._session.seconds(timeout))
        words = str(expectation) if isinstance(expectation, Expectation) else words_for(expectation)
        async with http.new_client() as client:
            try:
                return await self._ask_until(client, expectation, asked)
            except (WaitFailed, WaitTimeout) as error:
                raise asked.explain(error, words) from None

    async def alerts(self) -> list[Alert]:
        """The alerts that are pending or firing, by name. Raises as `query`."""
        async with http.new_client() as client:
            return alerts_of((await self._ask(client, "alerts", {}, CALL_SECONDS))[0])

    async def targets(self) -> list[ScrapeTarget]:
        """What it scrapes, and how the last scrape of each went, by job and instance. Raises as `query`."""
        async with http.new_client() as client:
            return targets_of((await self._ask(client, "targets", {"state": "active"}, CALL_SECONDS))[0])

    async def _ask_until(
        self, client: httpx.AsyncClient, expectation: Expectation | ResultJudge, asked: Asked
    ) -> QueryResult:
        interval, most = _LOOKS
        while True:
            try:
                patience = max(_LOOKS[1], min(_LOOK_SECONDS, asked.left()))
                result = result_of(*await self._ask(client, "query", {"query": asked.promql}, patience))
            except _RETRIED as error:
                asked.trouble = error.message
                # Raises where it never will run again; while it runs, it may answer next time.
                await self._prometheus.wait_running(timeout=asked.left())
            else:
                asked.note(result)
                if is_as_expected(expectation, result):
                    return result
            if asked.left() <= 0:
                raise WaitTimeout("it was not so in time", reason="Timeout")
            await pause(min(interval, asked.left()))
            interval = min(2 * interval, most)

    async def _ask(
        self, client: httpx.AsyncClient, path: str, query: Mapping[str, str], seconds: float
    ) -> tuple[Any, tuple[str, ...]]:
        address = await self._prometheus.endpoint(self._port)
        url = f"http://{address}/api/v1/{path}"
        return data_of(await http.get(client, url, params=query, seconds=seconds, read=_TOLD))


def _seconds(moment: Moment) -> str:
    """Since 1970, as the API takes it. A time without a zone is local, as everywhere in Python."""
    return repr(moment.timestamp() if isinstance(moment, datetime) else float(moment))
