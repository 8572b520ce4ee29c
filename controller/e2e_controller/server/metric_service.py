"""MetricService: reads workloads' metrics, and waits for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from e2e_api.conditions import ConditionType
from e2e_api.errors import InvalidArgument, NotFound, Unavailable, WaitFailed, WaitTimeout
from e2e_api.manifests import Workload
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_api.v1 import metric_service_pb2_grpc
from e2e_controller.drivers.base import ContainerPhase, Key
from e2e_controller.metrics import (
    AbsentMetric,
    Expectation,
    History,
    LabelMatcher,
    Page,
    Sample,
    ScrapeError,
    Scraper,
    Selection,
    Visitor,
    scrape,
    series,
    similar_names,
    visitor_of,
    watch,
)
from e2e_controller.metrics.messages import (
    matchers_from_proto,
    names_from_proto,
    sample_to_proto,
    selection_from_proto,
    series_to_proto,
    wait_from_proto,
)
from e2e_controller.objects import Object
from e2e_controller.offload import offload
from e2e_controller.probes import address_of
from e2e_controller.server.access import Access, time_limit
from e2e_controller.server.convert import key_from_proto
from e2e_controller.server.evidence import metric_failure

_ERROR_LENGTH = 300
_MOST_LISTED = 10
Result = TypeVar("Result")


class MetricServicer(metric_service_pb2_grpc.MetricServiceServicer):
    """See `metric_service.proto`."""

    def __init__(self, access: Access, scraper: Scraper) -> None:
        self._access = access
        self._scraper = scraper

    async def WaitMetrics(self, request: pb.WaitMetricsRequest, context: Any) -> pb.WaitMetricsResponse:
        limit = time_limit(context)
        key = key_from_proto(request.selection.key)
        selection, expectation = wait_from_proto(request)
        target = await self._target(key)
        wait = _MetricWait(target, selection, expectation)
        try:
            async with asyncio.timeout_at(limit):
                sample = await _unless_ended(wait.run(), target)
        except TimeoutError:
            text, details = wait.text("not in time"), [await wait.evidence()]
            raise WaitTimeout(text, reason="Timeout", details=details) from None
        except _EndedError as error:
            details = [await wait.evidence()]
            raise WaitFailed(wait.text(str(error)), reason=error.reason, details=details) from None
        return pb.WaitMetricsResponse(sample=sample_to_proto(sample))

    async def WatchMetrics(
        self, request: pb.WatchMetricsRequest, context: Any
    ) -> AsyncIterator[pb.WatchMetricsResponse]:
        key, selection = key_from_proto(request.selection.key), selection_from_proto(request.selection)
        target, history = await self._target(key), History()
        async with aclosing(watch(target.fetch, selection)) as samples:
            while True:
                try:
                    sample = await _unless_ended(anext(samples), target)
                except _EndedError as error:
                    failure = metric_failure("", history, (), target.object)
                    raise WaitFailed(f"{key}: {error}", reason=error.reason, details=[failure]) from None
                if history.add(sample):
                    yield pb.WatchMetricsResponse(sample=sample_to_proto(sample))

    async def SumMetrics(self, request: pb.SumMetricsRequest, context: Any) -> pb.SumMetricsResponse:
        key, selection = key_from_proto(request.selection.key), selection_from_proto(request.selection)
        target = await self._target(key)
        await self._access.running(key)
        sample = await scrape(target.fetch, selection)
        if sample.error:
            raise _scrape_failed(key, sample.error)
        return pb.SumMetricsResponse(sample=sample_to_proto(sample))

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Any) -> pb.GetMetricsResponse:
        key = key_from_proto(request.key)
        names, matchers = names_from_proto(request.names), matchers_from_proto(request.matchers)
        target = await self._target(key)
        await self._access.running(key)
        try:
            return await offload(_series_response, await target.fetch(), names, matchers)
        except ScrapeError as error:
            raise _scrape_failed(key, str(error)) from error

    async def _target(self, key: Key) -> "MetricTarget":
        object_ = await self._access.find(key)
        if object_.manifest is None and object_.rejection is not None:
            message = f"{key}: its manifest was rejected: {object_.rejection.message}"
            raise InvalidArgument(message, reason=object_.rejection.reason)
        if not isinstance(object_.manifest, Workload) or object_.manifest.spec.metrics is None:
            message = f"{key} serves no metrics: its manifest has no `metrics` (port, path)"
            raise InvalidArgument(message, reason="NotInstrumented")
        return MetricTarget(self._access, self._scraper, key)


class _EndedError(Exception):
    """The workload cannot serve the metrics any more."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class MetricTarget:
    """One workload's metrics page, and whether it can still come."""

    def __init__(self, access: Access, scraper: Scraper, key: Key) -> None:
        self._access = access
        self._scraper = scraper
        self.key = key
        self.page: Page | None = None

    @property
    def object(self) -> Object | None:
        """The workload as it is now."""
        return self._access.store.get(self.key)

    async def fetch(self) -> Page:
        """Scrapes once. Raises `ScrapeError`."""
        url, visitor = self._address()
        self.page = await self._scraper.fetch(url, visitor=visitor)
        self._scraper.remember(str(self.key), self.page)
        return self.page

    def raise_if_ended(self) -> None:
        """Raises `_EndedError` where no scrape will ever succeed again."""
        object_ = self.object
        if object_ is None or object_.deleting:
            raise _EndedError("it was deleted", "Deleted")
        failed = object_.status.condition(ConditionType.FAILED)
        container = object_.status.container
        runs = container is not None and container.phase is ContainerPhase.RUNNING
        if object_.settled and failed is not None and not runs:
            raise _EndedError(f"never will be: {failed.reason}: {failed.message}", failed.reason)
        if object_.settled and object_.state != "Running":
            raise _EndedError(f"never will be: its manifest asks for state {object_.state}", "NotAsked")

    async def ended(self) -> None:
        """Returns never, or raises `_EndedError`."""
        with self._access.store.subscribe(lambda key: key == self.key) as subscription:
            while True:
                self.raise_if_ended()
                await subscription.changed()

    def _address(self) -> tuple[str, Visitor]:
        object_ = self.object
        container = object_.status.container if object_ else None
        if object_ is None or container is None or container.phase is not ContainerPhase.RUNNING:
            raise ScrapeError(f"{self.key} does not run yet")
        if not object_.settled:
            raise ScrapeError(f"{self.key} does not run as its newest manifest asks yet")
        if not isinstance(object_.manifest, Workload) or object_.manifest.spec.metrics is None:
            raise ScrapeError(f"{self.key} serves no metrics any more")
        metrics = object_.manifest.spec.metrics
        port = object_.manifest.spec.ports[metrics.port]
        address = address_of(self._access.info, container, port)
        if address is None:
            raise ScrapeError(f"{self.key} has no address yet")
        url = f"{metrics.scheme}://{address.host}:{address.port}{metrics.path}"
        return url, visitor_of(metrics, self.key.name)


class _MetricWait:
    """One wait's state."""

    def __init__(self, target: MetricTarget, selection: Selection, expectation: Expectation) -> None:
        self._target = target
        self._selection = selection
        self._expectation = expectation
        self._history = History()

    async def run(self) -> Sample:
        """The first sample that is as expected."""
        async with aclosing(watch(self._target.fetch, self._selection)) as samples:
            async for sample in samples:
                self._history.add(sample)
                if sample.error:
                    continue
                try:
                    if self._expectation.holds(sample.sums, self._selection.absent):
                        return sample
                except AbsentMetric as error:
                    details = [await self.evidence()]
                    raise NotFound(
                        f"{self._target.key}: {error}", reason="AbsentMetric", details=details
                    ) from error
        raise AssertionError("watching metrics never ends by itself")

    def text(self, how: str) -> str:
        """What was waited for, and why it did not come."""
        names = _listed(self._selection.names)
        samples = self._history.samples
        last = f"; last: {_describe(samples[-1])}" if samples else "; it was never scraped"
        return f"waited for {names} of {self._target.key} to be: {self._expectation}; {how}{last}"

    async def evidence(self) -> pb.MetricFailure:
        """The history, near misses for absent names, and the workload's state."""
        return metric_failure(
            str(self._expectation), self._history, await self._similar(), self._target.object
        )

    async def _similar(self) -> list[str]:
        samples, page = self._history.samples, self._target.page
        if page is None or not samples:
            return []
        absent = [sum_.name for sum_ in samples[-1].sums if sum_.value is None]
        found = [await offload(similar_names, page, name) for name in absent[:3]]
        return [name for names in found for name in names]


async def _unless_ended(work: Awaitable[Result], target: MetricTarget) -> Result:
    """What `work` gives, or `_EndedError` as soon as the workload cannot serve metrics any more."""
    working = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(target.ended())
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            ending.result()
        return await working
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


def _series_response(
    page: Page, names: Sequence[str], matchers: Sequence[LabelMatcher]
) -> pb.GetMetricsResponse:
    return pb.GetMetricsResponse(series=map(series_to_proto, series(page, names, matchers)))


def _describe(sample: Sample) -> str:
    if sample.error:
        return sample.error[:_ERROR_LENGTH]
    return _listed(["absent" if s.value is None else f"{s.value:g} ({s.series} series)" for s in sample.sums])


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(texts[:_MOST_LISTED]) + more


def _scrape_failed(key: Key, error: str) -> Unavailable:
    return Unavailable(f"{key}: {error}", reason="ScrapeFailed")
