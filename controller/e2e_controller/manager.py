"""Wires everything; starts it and stops it in order. Nothing else does wiring."""

import asyncio
import fcntl
import hashlib
import logging
import os
import platform
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, EngineUnavailable, Key
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.intake import Intake
from e2e_controller.leases import Leases
from e2e_controller.metrics import Scraper
from e2e_controller.objects import ENVIRONMENT, WORKLOAD, environment_key
from e2e_controller.probes import Prober
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.server.access import Access
from e2e_controller.server.container_service import ContainerServicer
from e2e_controller.server.environment_service import EnvironmentServicer
from e2e_controller.server.event_service import EventServicer
from e2e_controller.server.grpc_server import GrpcServer, ListenError
from e2e_controller.server.http_server import HttpServer
from e2e_controller.server.manifest_service import ManifestServicer
from e2e_controller.server.metric_service import MetricServicer
from e2e_controller.server.wait_service import WaitServicer
from e2e_controller.settings import Settings
from e2e_controller.sources import FolderSource
from e2e_controller.store import Store
from e2e_controller.workqueue import WorkQueue

log = logging.getLogger(__name__)

STOP_GRACE = 1.0
ECHO_DELAY = 1.0
"""Seconds from a start that we may have done ourselves to a look at it."""
ENGINE_PATIENCE = 15.0
"""Seconds in which the engine has to say what it is; a client waits for half a minute at most."""
_ENGINE_HANGS = (
    f"the engine takes calls but did not answer within {ENGINE_PATIENCE:g}s: it hangs or is overloaded; "
    "restart it (Docker Engine before 23.0 can deadlock when containers of one network end at once)"
)


class StartError(Exception):
    """The controller cannot start; the text says why, and what helps."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Manager:
    """One controller."""

    def __init__(
        self,
        settings: Settings,
        make_driver: Callable[[Settings, str, Instruments], Driver] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._make_driver = make_driver or docker_driver
        self._now = now
        self._stopping = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._engine_trouble = ""
        self.addresses: list[str] = []
        """Where gRPC is served, once `started` is set."""
        self.http_address = ""
        self.started = asyncio.Event()

    def stop(self) -> None:
        """Makes `run` return soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Serves until a signal comes, or `stop` is called. Raises `StartError`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        async with AsyncExitStack() as stack:
            if not await self._unless_stopped(self._start(stack)):
                return
            self.started.set()
            self._tell_ready()
            await self._stopping.wait()
            log.info("stopping")
            if self._settings.delete_on_exit:
                await self._delete_everything()

    async def _unless_stopped(self, work: Coroutine[None, None, None]) -> bool:
        """Does the work, unless a signal comes before it is done; whether it was done."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            return False
        await working
        return True

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        directories = Directories(settings.state_dir.absolute())
        stack.enter_context(StateLock(directories.state))
        identity = settings.controller_id or controller_id(directories.state)
        (directories.state / "controller-id").write_text(identity + "\n")

        instruments, events = Instruments(), EventLog(self._now)
        driver = self._driver = self._make_driver(settings, identity, instruments)
        try:
            async with asyncio.timeout(ENGINE_PATIENCE):
                await driver.start()
                info = await driver.info()
        except EngineUnavailable as error:
            raise StartError(str(error)) from error
        except TimeoutError as error:
            raise StartError(_ENGINE_HANGS) from error
        stack.push_async_callback(driver.close)

        queue = self._queue = WorkQueue[Key]()
        store = self._store = Store(queue.add, events)
        intake = Intake(store, directories, settings.default_environment)
        leases = self._leases = Leases(store, intake, events, directories, settings.lease_grace)
        prober = Prober(driver, info, queue.add, self._now, instruments.probed, queue.add)
        stack.push_async_callback(prober.aclose)
        scraper = Scraper()
        stack.push_async_callback(scraper.aclose)
        reconciler = Reconciler(
            store, queue, driver, prober, events, directories, info, instruments, self._now
        )
        instruments.collect_gauges(lambda: len(queue), self._object_conditions, leases.count)

        sources = await self._start_sources(stack, intake, directories)
        stack.push_async_callback(self._cancel_background)
        self._spawn(self._follow_engine())
        await self._enqueue_all()
        for _ in range(settings.workers):
            self._spawn(reconciler.work())
        stack.callback(queue.close)
        self._spawn(self._resync())
        leases.recover()
        stack.push_async_callback(leases.close)

        async def sync_folders() -> None:
            await asyncio.gather(*(source.sync() for source in sources))

        access = Access(store, driver, info, sync_folders)
        server = self._server = GrpcServer(
            ManifestServicer(access, intake, leases, reconciler),
            EnvironmentServicer(access, leases, directories),
            WaitServicer(access),
            MetricServicer(access, scraper),
            ContainerServicer(access),
            EventServicer(events),
        )
        await self._serve(stack, server, instruments)
        if settings.idle_timeout:
            self._spawn(self._stop_when_idle())

    async def _start_sources(
        self, stack: AsyncExitStack, intake: Intake, directories: Directories
    ) -> list[FolderSource]:
        interval = self._settings.rescan_interval
        try:
            directories.manifests.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"cannot make {directories.manifests}: {error.strerror}") from error
        managed = FolderSource(directories.manifests, intake.changed, intake.gone, rescan_interval=interval)
        intake.attach(managed)
        folders = [
            FolderSource(folder.absolute(), intake.changed, intake.gone, rescan_interval=interval)
            for folder in self._settings.folder
        ]
        # The user's folders come first, so that what they define is not Apply's on a restart.
        sources = [*folders, managed]
        for source in sources:
            stack.push_async_callback(source.close)
            await source.start()
        return sources

    async def _serve(self, stack: AsyncExitStack, server: GrpcServer, instruments: Instruments) -> None:
        settings = self._settings
        try:
            self.addresses = await server.start(settings.addresses)
            stack.push_async_callback(server.stop, STOP_GRACE)
            log.info("serving gRPC on %s", ", ".join(self.addresses))
            if settings.http:
                http = HttpServer(instruments.registry, lambda: self._engine_trouble)
                self.http_address = await http.start(settings.http)
                stack.push_async_callback(http.stop)
                log.info("serving HTTP on %s", self.http_address)
        except (ListenError, OSError, ValueError) as error:
            raise StartError(str(error)) from error

    # What goes on in the background

    async def _follow_engine(self) -> None:
        """Queues the keys that engine events are about."""
        async for event in self._driver.events():
            if event.key is None:
                await self._enqueue_all()
            elif event.key.kind == ENVIRONMENT:
                self._queue.add(event.key)
            else:
                self._heard(event.key, event.action)

    def _heard(self, key: Key, action: str) -> None:
        """Queues a workload, unless the event is the echo of what a worker does with it anyway."""
        object_ = self._store.get(key)
        if object_ is None or object_.deleting or action == "create":
            return
        # Whoever started it looks at it afterwards; only a start behind our back is news.
        self._queue.add_after(key, ECHO_DELAY if action == "start" else 0)

    async def _resync(self) -> None:
        """A full look once in a while: events may have been lost."""
        while True:
            await asyncio.sleep(self._settings.resync_interval)
            await self._enqueue_all()

    async def _enqueue_all(self) -> None:
        """Queues what is wanted and what is there, so that both become the same."""
        try:
            keys = set(await self._driver.list_containers())
            environments = set(await self._driver.list_environments())
            self._engine_trouble = ""
        except Exception as error:  # the engine may be away for a while; the next look finds it again
            log.warning("cannot list what the engine has: %s", error)
            self._engine_trouble = str(error)
            return
        folder = Directories(self._settings.state_dir.absolute()).environments
        environments |= {path.name for path in folder.glob("*") if path.is_dir()}
        keys |= {environment_key(environment) for environment in environments}
        keys |= {object_.key for object_ in self._store.select()}
        for key in sorted(keys):
            self._queue.add(key)

    async def _stop_when_idle(self) -> None:
        idle_since = asyncio.get_running_loop().time()
        step = min(1.0, self._settings.idle_timeout / 4)
        while True:
            await asyncio.sleep(step)
            now = asyncio.get_running_loop().time()
            # What it keeps is a use of it, too.
            keeps = any(object_.key.kind == WORKLOAD for object_ in self._store.select())
            if keeps or self._server.calls or not self._leases.idle or not self._queue.idle:
                idle_since = now
            elif now - idle_since >= self._settings.idle_timeout:
                log.info("unused for %gs", self._settings.idle_timeout)
                self.stop()
                return

    async def _delete_everything(self) -> None:
        """Removes all that is ours from the engine; the manifests stay."""
        self._queue.close()
        for key in await self._driver.list_containers():
            container = await self._driver.inspect(key)
            if container is not None:
                await self._driver.remove(container.id)
        for environment in await self._driver.list_environments():
            await self._driver.remove_environment(environment)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Half a controller is worse than none: whoever runs it starts it again.
            log.critical("a background task failed", exc_info=task.exception())
            self.stop()

    async def _cancel_background(self) -> None:
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _object_conditions(self) -> Iterator[tuple[str, str, str]]:
        for object_ in self._store.select():
            for condition in object_.status.conditions:
                yield object_.key.kind, condition.type, condition.status

    def _tell_ready(self) -> None:
        descriptor = self._settings.ready_fd
        if descriptor >= 0:
            os.write(descriptor, b"ready\n")
            os.close(descriptor)


def docker_driver(settings: Settings, identity: str, instruments: Instruments) -> Driver:
    """The driver for Docker Engine."""
    return DockerDriver(
        identity,
        engine=settings.engine or None,
        state_dir=settings.state_dir.absolute(),
        parallelism=settings.engine_parallelism,
        call_timeout=settings.engine_timeout,
        address_pool=settings.address_pool,
        subnet_prefix=settings.subnet_prefix,
        observe=instruments.engine_called,
    )


def controller_id(state: Path) -> str:
    """The same for the same folder on the same machine, also when the folder was wiped in between."""
    return hashlib.sha256(f"{platform.node()}:{state.resolve()}".encode()).hexdigest()[:12]


class StateLock:
    """Makes sure that one controller at a time uses a state folder. Raises `StartError`."""

    def __init__(self, state: Path) -> None:
        self._path = state / "lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+")
        except OSError as error:
            raise StartError(f"cannot use state folder {self._path.parent}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            other = self._file.read().strip() or "another controller"
            self._file.close()
            raise StartError(
                f"state folder {self._path.parent} is in use by {other}; give this one its own --state-dir"
            ) from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
