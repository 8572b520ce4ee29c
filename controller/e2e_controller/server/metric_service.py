"""MetricService: reads workloads' metrics, and waits for them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from e2e_api.errors import InvalidArgument, Unavailable, WaitFailed, WaitTimeout
from e2e_api.quantities import format_duration
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_api.v1 import metric_service_pb2_grpc
from e2e_controller.drivers.base import Key
from e2e_controller.metrics import LabelMatcher, Page, Sample, ScrapeError, Scraper, series
from e2e_controller.metrics.messages import (
    baseline_to_proto,
    baselines_from_proto,
    matchers_from_proto,
    names_from_proto,
    sample_to_proto,
    selection_from_proto,
    series_to_proto,
    wait_from_proto,
)
from e2e_controller.offload import offload
from e2e_controller.server.access import Access, time_limit
from e2e_controller.server.convert import key_from_proto
from e2e_controller.server.metric_targets import EndedError, Instances, find_instances
from e2e_controller.server.metric_waits import MetricWait, MetricWatch

_MOST_KEYS = 1000


class MetricServicer(metric_service_pb2_grpc.MetricServiceServicer):
    """See `metric_service.proto`."""

    def __init__(self, access: Access, scraper: Scraper) -> None:
        self._access = access
        self._scraper = scraper

    async def WaitMetrics(self, request: pb.WaitMetricsRequest, context: Any) -> pb.WaitMetricsResponse:
        limit = time_limit(context)
        keys = _keys(request.selection)
        selection, expectation, stable_for = wait_from_proto(request)
        baselines = baselines_from_proto(request, expectation.measure)
        _check_time("expectation.window", expectation.window, limit)
        _check_time("stable_for", expectation.window + stable_for, limit)
        instances = await self._instances(keys)
        wait = MetricWait(instances, selection, expectation, stable_for, baselines)
        async with _told(wait), asyncio.timeout_at(limit):
            sample = await instances.unless_ended(wait.run())
        return pb.WaitMetricsResponse(sample=sample_to_proto(sample))

    async def WatchMetrics(
        self, request: pb.WatchMetricsRequest, context: Any
    ) -> AsyncIterator[pb.WatchMetricsResponse]:
        limit = time_limit(context)
        keys, selection = _keys(request.selection), selection_from_proto(request.selection)
        watched = MetricWatch(await self._instances(keys), selection)
        async with aclosing(watched.differing()) as samples:
            while True:
                async with _told(watched), asyncio.timeout_at(limit):
                    sample = await anext(samples)
                yield pb.WatchMetricsResponse(sample=sample_to_proto(sample))

    async def SumMetrics(self, request: pb.SumMetricsRequest, context: Any) -> pb.SumMetricsResponse:
        sample = await self._look(request.selection)
        return pb.SumMetricsResponse(sample=sample_to_proto(sample))

    async def GetBaseline(self, request: pb.GetBaselineRequest, context: Any) -> pb.GetBaselineResponse:
        sample = await self._look(request.selection, keeps_series=True)
        found = pb.MetricBaseline(selection=request.selection, workloads=map(baseline_to_proto, sample.parts))
        return pb.GetBaselineResponse(baseline=found)

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Any) -> pb.GetMetricsResponse:
        names, matchers = names_from_proto(request.names), matchers_from_proto(request.matchers)
        instances = await self._instances([key_from_proto(request.key)])
        page = await self._page(instances)
        try:
            return await offload(_series_response, page, names, matchers)
        except ScrapeError as error:
            raise _scrape_failed(instances, str(error)) from error

    async def GetMetricsPage(
        self, request: pb.GetMetricsPageRequest, context: Any
    ) -> pb.GetMetricsPageResponse:
        page = await self._page(await self._instances([key_from_proto(request.key)]))
        return pb.GetMetricsPageResponse(text=page.text, content_type=page.content_type)

    async def _instances(self, keys: Sequence[Key]) -> Instances:
        return await find_instances(self._access, self._scraper, keys)

    async def _look(self, message: pb.MetricSelection, keeps_series: bool = False) -> Sample:
        keys, selection = _keys(message), selection_from_proto(message)
        instances = await self._instances(keys)
        for key in keys:
            await self._access.running(key)
        sample = await instances.look(replace(selection, keeps_series=keeps_series))
        if sample.error:
            raise _scrape_failed(instances, sample.error)
        await MetricWatch(instances, selection).check_there(sample)
        return sample

    async def _page(self, instances: Instances) -> Page:
        (target,) = instances.all
        await self._access.running(target.key)
        try:
            return await target.fetch()
        except ScrapeError as error:
            raise _scrape_failed(instances, str(error)) from error


@asynccontextmanager
async def _told(watched: MetricWatch) -> AsyncIterator[None]:
    """Where its block is not done in time, or cannot be any more, whoever waits is told with the evidence."""
    try:
        yield
    except TimeoutError:
        text, details = watched.text("not in time"), [await watched.evidence()]
        raise WaitTimeout(text, reason="Timeout", details=details) from None
    except EndedError as error:
        details = [await watched.evidence(error.object)]
        raise WaitFailed(watched.text(str(error)), reason=error.reason, details=details) from None


def _keys(selection: pb.MetricSelection) -> list[Key]:
    """Those of the workloads that are meant, each once."""
    if selection.HasField("key") == bool(selection.keys):
        message = "give either the key of one workload, or the keys of several"
        raise InvalidArgument(message, violations=[("selection.keys", message)])
    if len(selection.keys) > _MOST_KEYS:
        message = f"{len(selection.keys)} workloads at once; {_MOST_KEYS} is the most"
        raise InvalidArgument(message, violations=[("selection.keys", message)])
    keys = [key_from_proto(key) for key in selection.keys or [selection.key]]
    if len(set(keys)) < len(keys):
        message = "a workload is named twice: its sums would count twice"
        raise InvalidArgument(message, violations=[("selection.keys", message)])
    return keys


def _check_time(field: str, seconds: float, limit: float) -> None:
    """Raises `InvalidArgument` where nothing is seen for so long before the limit, a time of the loop.

    What needs no time may come too late all the same: that is a timeout, and no mistake.
    """
    if 0 < seconds > limit - asyncio.get_running_loop().time():
        message = f"nothing can be seen for {format_duration(seconds)} before the call's deadline"
        raise InvalidArgument(message, violations=[(field, message)])


def _series_response(
    page: Page, names: Sequence[str], matchers: Sequence[LabelMatcher]
) -> pb.GetMetricsResponse:
    return pb.GetMetricsResponse(series=map(series_to_proto, series(page, names, matchers)))


def _scrape_failed(instances: Instances, error: str) -> Unavailable:
    return Unavailable(f"{instances}: {error}", reason="ScrapeFailed")
