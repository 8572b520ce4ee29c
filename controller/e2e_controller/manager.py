"""Wires everything; starts it and stops it in order. Nothing else does wiring."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from e2e_controller.claims import attend
from e2e_controller.collector import Collector
from e2e_controller.drivers.base import Driver, Key
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.garbage import Garbage
from e2e_controller.guests import Guests
from e2e_controller.instruments import Instruments
from e2e_controller.intake import Intake
from e2e_controller.leases import Leases
from e2e_controller.metrics import Scraper
from e2e_controller.probes import Prober
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.reconcile.secrets import Secrets
from e2e_controller.server.access import Access
from e2e_controller.server.container_service import ContainerServicer
from e2e_controller.server.environment_planning import EnvironmentPlanning
from e2e_controller.server.environment_service import EnvironmentServicer
from e2e_controller.server.event_service import EventServicer
from e2e_controller.server.evidence_service import EvidenceServicer
from e2e_controller.server.grpc_server import GrpcServer
from e2e_controller.server.health_socket import HealthSocket
from e2e_controller.server.http_server import HttpServer
from e2e_controller.server.manifest_service import ManifestServicer
from e2e_controller.server.metric_service import MetricServicer
from e2e_controller.server.unix_socket import ListenError
from e2e_controller.server.wait_service import WaitServicer
from e2e_controller.settings import Settings
from e2e_controller.shared_folders import SharedFolders
from e2e_controller.sources import FolderSource
from e2e_controller.starting import (
    Ground,
    MakeDriver,
    StartError,
    find_ground,
    secret_sources,
    start_sources,
)
from e2e_controller.state_folder import StateLock, host_identity
from e2e_controller.store import Store
from e2e_controller.upkeep import TaskSet, Upkeep
from e2e_controller.workqueue import WorkQueue

log = logging.getLogger(__name__)

STOP_GRACE = 1.0


class LeftBehind(Exception):  # noqa: N818
    """Not all could be deleted on exit; the text says what is left, and why."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the services need of what works, but for what the manager keeps."""

    intake: Intake
    guests: Guests
    folders: SharedFolders
    scraper: Scraper
    reconciler: Reconciler


class Manager:
    """One controller."""

    def __init__(
        self,
        settings: Settings,
        make_driver: MakeDriver | None = None,
        now: Callable[[], datetime] = utc_now,
        lock: StateLock | None = None,
    ) -> None:
        """`lock` is held already; without one, the state folder is claimed by `run`."""
        self._settings = settings
        self._lock = lock
        self._make_driver = make_driver or docker_driver
        self._now = now
        self._began = time.time()
        self._stopping = asyncio.Event()
        self._tasks = TaskSet(failed=self.stop)
        self.addresses: list[str] = []
        """Where gRPC is served, once `started` is set."""
        self.http_address = ""
        self.started = asyncio.Event()

    def stop(self) -> None:
        """Makes `run` return soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Serves until a signal comes, or `stop` is called. Raises `StartError`, `LeftBehind`."""
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
                await self._tasks.cancel()
                await self._delete_everything()

    async def _delete_everything(self) -> None:
        left = await self._upkeep.delete_everything()
        if left:
            remedy = "start this controller again with --delete-on-exit once the cause is gone, and stop it"
            raise LeftBehind("\n".join(["left behind:", *left, remedy]))

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
        ground = await find_ground(stack, self._settings, self._lock, self._make_driver, self._now)
        parts = self._make_parts(stack, ground)
        sources = await start_sources(stack, self._settings, parts.intake, ground.directories)
        parts.reconciler.sweep_notes()
        stack.push_async_callback(self._tasks.cancel)
        self._spawn_work(parts.reconciler)
        stack.callback(self._queue.close)
        self._leases.recover(self.started, self._settings.recovery_grace)
        self._server = self._make_server(ground, parts, sources)
        await self._serve(stack, self._server, ground)
        stack.push_async_callback(self._leases.close)  # before the server ends the streams that hold them
        self._spawn_chores(ground)
        if (file := ground.policy_file) is not None:
            told = ground.events, ground.instruments.renewed
            self._tasks.spawn(file.follow(self._store, parts.reconciler.retry_now, *told))

    def _make_parts(self, stack: AsyncExitStack, ground: Ground) -> _Parts:
        driver, info, instruments = ground.driver, ground.info, ground.instruments
        directories, events = ground.directories, ground.events
        queue = self._queue = WorkQueue[Key](group=lambda key: key.environment)
        store = self._store = Store(queue.add, events, ground.veil, ground.judge)
        intake = Intake(store, directories, self._settings.default_environment)
        leases = self._leases = self._make_leases(store, intake, ground)
        guests, folders = Guests(driver, info), SharedFolders(directories, info)
        stack.push_async_callback(guests.aclose)
        reach = guests.reach if guests.has_own else None
        prober = Prober(driver, info, queue.add, self._now, instruments.probed, queue.add, reach)
        stack.push_async_callback(prober.aclose)
        scraper = Scraper()
        stack.push_async_callback(scraper.aclose)
        secrets = Secrets(secret_sources(self._settings, directories), ground.veil)
        reconciler = Reconciler(
            store,
            queue,
            driver,
            prober,
            events,
            directories,
            folders,
            instruments,
            guests,
            secrets,
            self._now,
        )
        stack.push_async_callback(reconciler.aclose)
        upkeep = self._upkeep = Upkeep(
            store, queue, driver, directories, reconciler.strays, reconciler.retry_now
        )
        instruments.collect_gauges(
            lambda: len(queue), lambda: queue.failing, upkeep.object_conditions, leases.count
        )
        return _Parts(intake, guests, folders, scraper, reconciler)

    def _make_server(self, ground: Ground, parts: _Parts, sources: Sequence[FolderSource]) -> GrpcServer:
        store, leases, driver, directories = self._store, self._leases, ground.driver, ground.directories
        events, registry = ground.events, ground.instruments.registry

        async def sync_folders() -> None:
            await asyncio.gather(*(source.sync() for source in sources))

        access = Access(store, driver, ground.info, parts.guests, sync_folders, ground.veil)
        planning = EnvironmentPlanning(
            store, driver, parts.folders, directories, ground.identity, leases.count
        )
        return GrpcServer(
            ManifestServicer(access, parts.intake, leases, parts.reconciler, planning),
            EnvironmentServicer(access, leases, directories, parts.folders),
            WaitServicer(access),
            MetricServicer(access, parts.scraper),
            ContainerServicer(access),
            EventServicer(events),
            EvidenceServicer(access, events, parts.scraper, registry, self._now),
            keepalive=self._settings.keepalive,
        )

    def _make_leases(self, store: Store, intake: Intake, ground: Ground) -> Leases:
        grace, alone = self._settings.lease_grace, not self._settings.folder
        events, directories, evicted = ground.events, ground.directories, ground.instruments.evicted
        return Leases(store, intake, events, directories, grace, self._now, evicted, exclusive=alone)

    def _spawn_work(self, reconciler: Reconciler) -> None:
        async def begin() -> None:
            await self._upkeep.first_look()
            for _ in range(self._settings.workers):
                self._tasks.spawn(reconciler.work())

        self._tasks.spawn(self._upkeep.follow_engine())  # begins with a full look
        self._tasks.spawn(begin())
        self._tasks.spawn(self._upkeep.resync(self._settings.resync_interval))
        self._tasks.spawn(reconciler.follow_secrets(self._settings.rescan_interval))

    def _spawn_chores(self, ground: Ground) -> None:
        self._tasks.spawn(self._leases.follow())
        self._tasks.spawn(attend(ground.lock, ground.identity))
        mode = self._settings.collect_garbage
        if mode != "none":
            garbage = Garbage(ground.driver.inventory, host_identity(self._settings.state_dir))
            collector = Collector(garbage, ground.identity, ground.instruments, self._began)
            self._tasks.spawn(collector.collect(mode))
        if self._settings.idle_timeout:
            self._tasks.spawn(self._stop_when_unused(self._server, self._leases))

    async def _serve(self, stack: AsyncExitStack, server: GrpcServer, ground: Ground) -> None:
        settings, protection, registry = self._settings, ground.protection, ground.instruments.registry
        try:
            self.addresses = await server.start(settings.addresses, protection)
            stack.push_async_callback(server.stop, STOP_GRACE)
            log.info("serving gRPC on %s", ", ".join(self.addresses))
            if settings.http:
                http = HttpServer(registry, lambda: self._upkeep.engine_trouble, protection)
                self.http_address = await http.start(settings.http)
                stack.push_async_callback(http.stop)
                log.info("serving HTTP on %s", self.http_address)
            if settings.health_socket:
                health = HealthSocket(lambda: self._upkeep.engine_trouble)
                await health.start(settings.health_socket)
                stack.push_async_callback(health.stop)
            if settings.tcp_addresses:
                self._tasks.spawn(protection.renewal.run())
        except (ListenError, OSError, ValueError) as error:
            raise StartError(str(error)) from error

    async def _stop_when_unused(self, server: GrpcServer, leases: Leases) -> None:
        timeout = self._settings.idle_timeout
        await self._upkeep.until_unused(timeout, lambda: bool(server.calls) or not leases.idle)
        self.stop()

    def _tell_ready(self) -> None:
        descriptor = self._settings.ready_fd
        if descriptor >= 0:
            with suppress(BrokenPipeError):  # whoever started it is gone
                os.write(descriptor, b"ready\n")
            os.close(descriptor)


def docker_driver(settings: Settings, identity: str, instruments: Instruments) -> Driver:
    """The driver for Docker Engine."""
    return DockerDriver(
        identity,
        engine=settings.engine or None,
        state_dir=settings.state_dir.absolute(),
        host=host_identity(settings.state_dir),
        parallelism=settings.engine_parallelism,
        call_timeout=settings.engine_timeout,
        address_pool=settings.address_pool,
        subnet_prefix=settings.subnet_prefix,
        publish_address=settings.publish_address,
        image_mirror=settings.image_mirror,
        observe=instruments.engine_called,
        discreet=settings.tokens is not None,  # which may be for some environments only
    )
