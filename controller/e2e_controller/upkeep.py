"""What goes on in the background: engine events and full looks queue keys; an unused controller ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, DriverError, Key
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, environment_key
from e2e_controller.store import Store
from e2e_controller.workqueue import WorkQueue

log = logging.getLogger(__name__)

T = TypeVar("T")

ECHO_DELAY = 1.0
"""Seconds from a start that we may have done ourselves to a look at it."""
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


class Upkeep:
    """Queues what has to be looked at, whoever changed it."""

    def __init__(self, store: Store, queue: WorkQueue[Key], driver: Driver, directories: Directories) -> None:
        self._store = store
        self._queue = queue
        self._driver = driver
        self._directories = directories
        self.engine_trouble = ""
        """Why the last full look failed; empty if it did not."""

    async def follow_engine(self) -> None:
        """Queues the keys that engine events are about."""
        async for event in self._driver.events():
            if event.key is None:
                await self.enqueue_all()
            elif event.key.kind == ENVIRONMENT:
                self._queue.add(event.key)
            else:
                self._heard(event.key, event.action)

    async def resync(self, interval: float) -> None:
        """A full look once in a while: events may have been lost."""
        while True:
            await asyncio.sleep(interval)
            await self.enqueue_all()

    async def enqueue_all(self) -> None:
        """Queues what is wanted and what is there, so that both become the same; tries until it can look."""
        pause = FIRST_PAUSE
        while not await self._look_at_all():
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)

    async def _look_at_all(self) -> bool:
        try:
            keys = set(await self._driver.list_containers())
            environments = set(await self._driver.list_environments())
        except DriverError as error:
            if str(error) != self.engine_trouble:
                log.warning("cannot list what the engine has: %s", error)
            self.engine_trouble = str(error)
            return False
        self.engine_trouble = ""
        environments |= {path.name for path in self._directories.environments.glob("*") if path.is_dir()}
        keys |= {environment_key(environment) for environment in environments}
        keys |= {object_.key for object_ in self._store.select()}
        for key in sorted(keys):
            self._queue.add(key)
        return True

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

        keys = await attempt("containers", self._driver.list_containers()) or ()
        await asyncio.gather(*(attempt(f"container of {key}", self._remove(key)) for key in keys))
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
        if object_ is None or object_.deleting or action == "create":
            return
        # Whoever started it looks at it afterwards; only a start behind our back is news.
        self._queue.add_after(key, ECHO_DELAY if action == "start" else 0)

    async def _remove(self, key: Key) -> None:
        container = await self._driver.inspect(key)
        if container is not None:
            await self._driver.remove(container.id)
