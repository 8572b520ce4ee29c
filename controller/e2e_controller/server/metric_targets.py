"""Whose metrics pages are read, and whether they can still come."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from e2e_api.conditions import ConditionType
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import Workload
from e2e_controller.drivers.base import ContainerPhase, DriverError, Key
from e2e_controller.metrics import (
    Origin,
    Page,
    Sample,
    ScrapeError,
    Scraper,
    Selection,
    Visitor,
    scrape_all,
    visitor_of,
)
from e2e_controller.objects import Object
from e2e_controller.probes import address_of
from e2e_controller.server.access import Access

Result = TypeVar("Result")


class EndedError(Exception):
    """A workload cannot serve the metrics any more."""

    def __init__(self, message: str, reason: str, object_: Object | None) -> None:
        super().__init__(message)
        self.reason = reason
        self.object = object_


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

    @property
    def origin(self) -> Origin | None:
        """The start of the container that runs now; None where none does."""
        object_ = self.object
        container = object_.status.container if object_ else None
        if container is None or container.phase is not ContainerPhase.RUNNING:
            return None
        return Origin(container.id, container.started_at)

    async def fetch(self) -> Page:
        """Scrapes once. Raises `ScrapeError`."""
        url, visitor = self._address()
        origin = self.origin
        try:
            await self._access.guests.reach(self.key.environment)
        except DriverError as error:
            raise ScrapeError(str(error)) from error
        try:
            page = await self._scraper.fetch(url, visitor=visitor)
        except ScrapeError as error:
            raise ScrapeError(self._access.veil.hide_in(self.key, str(error))) from None
        if self.origin != origin:
            what = "ended" if self.origin is None else "was started anew"
            raise ScrapeError(f"{self.key} {what} meanwhile")
        self.page = replace(page, origin=origin)
        self._scraper.remember(str(self.key), page)
        return self.page

    def raise_if_ended(self) -> None:
        """Raises `EndedError` where no scrape will ever succeed again."""
        object_ = self.object
        if object_ is None or object_.deleting:
            raise EndedError("it was deleted", "Deleted", object_)
        failed = object_.status.condition(ConditionType.FAILED)
        container = object_.status.container
        runs = container is not None and container.phase is ContainerPhase.RUNNING
        if object_.settled and failed is not None and not runs:
            message = f"never will be: {failed.reason}: {failed.message}"
            raise EndedError(message, failed.reason, object_)
        if object_.settled and object_.state != "Running":
            message = f"never will be: its manifest asks for state {object_.state}"
            raise EndedError(message, "NotAsked", object_)

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


class Instances:
    """The workloads whose sums are added up; often there is only one."""

    def __init__(self, access: Access, targets: Sequence[MetricTarget]) -> None:
        self._access = access
        self.all = tuple(targets)

    def __str__(self) -> str:
        return ", ".join(str(target.key) for target in self.all)

    @property
    def origins(self) -> Mapping[str, Origin | None]:
        """What serves each page now, by the workload's name."""
        return {name: target.origin for name, target in self._named.items()}

    @property
    def in_the_way(self) -> Object | None:
        """The first workload that does not run, or the first at all."""
        first = next((target for target in self.all if target.origin is None), self.all[0])
        return first.object

    async def look(self, selection: Selection) -> Sample:
        """Scrapes all of them once."""
        return await scrape_all({name: target.fetch for name, target in self._named.items()}, selection)

    async def unless_ended(self, work: Awaitable[Result]) -> Result:
        """What `work` gives, or `EndedError` as soon as one of the workloads cannot serve metrics."""
        working = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._ended())
        try:
            await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                ending.result()
            return await working
        finally:
            for task in (working, ending):
                task.cancel()
            await asyncio.gather(working, ending, return_exceptions=True)

    @property
    def _named(self) -> Mapping[str, MetricTarget]:
        """By name, where that tells them apart; else by their whole keys."""
        names = {target.key.name: target for target in self.all}
        return names if len(names) == len(self.all) else {str(target.key): target for target in self.all}

    async def _ended(self) -> None:
        """Returns never, or raises `EndedError`."""
        keys = {target.key for target in self.all}
        with self._access.store.subscribe(lambda key: key in keys) as subscription:
            while True:
                for target in self.all:
                    target.raise_if_ended()
                await subscription.changed()


async def find_instances(access: Access, scraper: Scraper, keys: Sequence[Key]) -> Instances:
    """The workloads of these keys. Raises `NotFound`, or `InvalidArgument` for one that has no metrics."""
    for key in keys:
        _check_instrumented(await access.find(key))
    return Instances(access, [MetricTarget(access, scraper, key) for key in keys])


def _check_instrumented(object_: Object) -> None:
    key = object_.key
    if object_.manifest is None and object_.rejection is not None:
        message = f"{key}: its manifest was rejected: {object_.rejection.message}"
        raise InvalidArgument(message, reason=object_.rejection.reason)
    if not isinstance(object_.manifest, Workload) or object_.manifest.spec.metrics is None:
        message = f"{key} serves no metrics: its manifest has no `metrics` (port, path)"
        raise InvalidArgument(message, reason="NotInstrumented")
