"""What goes on in the background: engine events and full looks queue keys; an unused controller ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from e2e_api.manifests import WorkloadSpec
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import (
    NAME_IS_FREE,
    ContainerPhase,
    Driver,
    DriverError,
    Key,
    ListedContainer,
)
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, Object, environment_key
from e2e_controller.reconcile.strays import Strays
from e2e_controller.store import Store
from e2e_controller.workqueue import WorkQueue

log = logging.getLogger(__name__)

T = TypeVar("T")

ECHO_DELAY = 1.0
"""Seconds from a start that we may have done ourselves to a look at it."""
FIRST_LOOK = 1.0
"""Seconds for which the workers wait for what the engine has at the start."""
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0
"""Seconds between full looks that fail."""


class TaskSet:
    """Tasks that live as long as the controller. One that fails ends it: half a controller is worse."""

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def cancel(self) -> None:
        """Ends them all."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.critical("a background task failed", exc_info=task.exception())
            self._failed()


@dataclass(frozen=True, slots=True)
class Listing:
    """What there is of ours, by lists alone."""

    containers: Mapping[Key, ListedContainer]
    environments: Mapping[str, str]
    """Those of which the engine has something, and the id of their network."""
    folders: Set[str]
    """Those that have a shared directory."""


def _is_as_known(object_: Object, listing: Listing) -> bool:
    """Whether the lists agree with the status; where they cannot tell, they do not."""
    if not object_.settled or object_.deleting:
        return False
    if object_.key.kind == ENVIRONMENT:
        known = object_.status.network_id
        return known != "" and listing.environments.get(object_.key.name) == known
    if object_.key.kind not in CONTAINER_KINDS:
        return True
    spec = object_.manifest.spec if object_.manifest else None
    if isinstance(spec, WorkloadSpec) and spec.readiness and spec.readiness.healthcheck:
        return False  # a list does not tell the health
    container, found = object_.status.container, listing.containers.get(object_.key)
    if found is None or not found.is_as_known(container):
        return found is None and container is None
    network = listing.environments.get(object_.key.environment, "")
    return found.phase is not ContainerPhase.RUNNING or found.network_id == network


class Upkeep:
    """Queues what has to be looked at, whoever changed it."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        driver: Driver,
        directories: Directories,
        strays: Strays,
        retry_now: Callable[[Key], None],
    ) -> None:
        self._strays = strays
        self._retry_now = retry_now
        self._store = store
        self._queue = queue
        self._driver = driver
        self._directories = directories
        self.engine_trouble = ""
        """Why the last full look failed; empty if it did not."""
        self._looked = asyncio.Event()

    async def follow_engine(self) -> None:
        """Queues the keys that engine events are about."""
        async for event in self._driver.events():
            if event.key is None:
                await self.enqueue_all()
            elif event.action == NAME_IS_FREE:
                self._retry_now(event.key)
            elif event.key.kind == ENVIRONMENT:
                self._queue.add(event.key)
            else:
                self._heard(event.key, event.action)

    async def first_look(self) -> None:
        """Waits for it, but not for long: what it tells spares most keys a second reconcile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                await self._looked.wait()

    async def resync(self, interval: float) -> None:
        """Looks once in a while for what no event told of, since events may have been lost."""
        while True:
            await asyncio.sleep(interval)
            await self._insist(self._enqueue_differences)

    async def enqueue_all(self) -> None:
        """Queues what is wanted and what is there, so that both become the same; tries until it can look."""
        await self._insist(self._enqueue_all)

    async def _insist(self, queue: Callable[[Listing], None]) -> None:
        pause = FIRST_PAUSE
        while (listing := await self._list()) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
        queue(listing)

    async def _list(self) -> Listing | None:
        """What there is by lists alone; None where the engine does not tell."""
        try:
            listed = await self._driver.list_containers()
            environments = await self._driver.list_environments()
        except DriverError as error:
            if str(error) != self.engine_trouble:
                log.warning("cannot list what the engine has: %s", error)
            self.engine_trouble = str(error)
            return None
        self.engine_trouble = ""
        self._strays.note(listed)
        containers = {found.key: found for found in listed if not found.is_stray}
        folders = {path.name for path in self._directories.environments.glob("*") if path.is_dir()}
        return Listing(containers, environments, folders)

    def _enqueue_all(self, listing: Listing) -> None:
        self._note_networks(listing)
        self._looked.set()
        keys = {environment_key(name) for name in listing.environments.keys() | listing.folders}
        objects = (object_.key for object_ in self._store.select())
        self._enqueue({*keys, *listing.containers, *self._strays.keys, *objects})

    def _note_networks(self, listing: Listing) -> None:
        """Of environments not looked at yet: their workloads need not wait for that."""
        for name, network in listing.environments.items():
            object_ = self._store.get(environment_key(name))
            if object_ is not None and not object_.deleting and object_.status.observed_generation == 0:
                self._store.set_status(object_.key, replace(object_.status, network_id=network))

    def _enqueue_differences(self, listing: Listing) -> None:
        """Objects of which the lists tell something else than what is known, and things of no object."""
        objects = {object_.key: object_ for object_ in self._store.select()}
        there = {environment_key(name) for name in listing.environments.keys() | listing.folders}
        changed = {key for key, object_ in objects.items() if not _is_as_known(object_, listing)}
        self._enqueue(changed | self._strays.keys | ((there | listing.containers.keys()) - objects.keys()))

    def _enqueue(self, keys: Iterable[Key]) -> None:
        for key in sorted(keys):
            self._queue.add(key)

    async def until_unused(self, timeout: float, in_use: Callable[[], bool]) -> None:
        """Returns when there was nothing to do for `timeout` seconds."""
        loop = asyncio.get_running_loop()
        unused_since = loop.time()
        while loop.time() - unused_since < timeout:
            await asyncio.sleep(min(1.0, timeout / 4))
            # What it keeps is a use of it, too.
            keeps = any(object_.key.kind in CONTAINER_KINDS for object_ in self._store.select())
            if keeps or in_use() or not self._queue.idle:
                unused_since = loop.time()
        log.info("unused for %gs", timeout)

    async def delete_everything(self) -> list[str]:
        """Removes all that is ours from engine and disk; the manifests stay. No worker may be at work.

        Gives what could not be removed, and why, a line for each.
        """
        left: list[str] = []

        async def attempt(what: str, call: Awaitable[T]) -> T | None:
            try:
                return await call
            except DriverError as error:
                log.error("left behind: %s: %s", what, error)
                left.append(f"{what}: {error}")
                return None

        found = await attempt("containers", self._driver.list_containers()) or ()
        await asyncio.gather(*(attempt(f"container of {it.key}", self._remove(it)) for it in found))
        for environment in await attempt("networks", self._driver.list_environments()) or ():
            await attempt(f"network of {environment}", self._driver.remove_environment(environment))
        for directory in sorted(self._directories.environments.glob("*")):
            await attempt(f"directory {directory}", self._driver.remove_tree(str(directory)))
        return left

    def object_conditions(self) -> Iterator[tuple[str, str, str]]:
        """(kind, condition, status) of each condition of each object."""
        for object_ in self._store.select():
            for condition in object_.status.conditions:
                yield object_.key.kind, condition.type, condition.status

    def _heard(self, key: Key, action: str) -> None:
        """Queues a workload, unless the event is the echo of what a worker does with it anyway."""
        object_ = self._store.get(key)
        if object_ is None and action in ("create", "start"):
            # Made too late, for somebody who gave up on it, or by hand: nobody wants it.
            self._queue.add_after(key, ECHO_DELAY)
        if object_ is None or object_.deleting or action == "create":
            return
        # Whoever started it looks at it afterwards; only a start behind our back is news.
        self._queue.add_after(key, ECHO_DELAY if action == "start" else 0)

    async def _remove(self, found: ListedContainer) -> None:
        container = None if found.is_stray else await self._driver.inspect(found.key)
        await self._driver.remove(container.id if container else found.id)
