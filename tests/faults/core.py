"""The controller core, wired as the manager does it, but without sockets and threads: on fake time."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from e2e_api.errors import WaitTimeout
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Container, Key
from e2e_controller.drivers.fake import FakeEngine, Fault, FaultyDriver
from e2e_controller.events import EventLog
from e2e_controller.guests import Guests
from e2e_controller.instruments import Instruments
from e2e_controller.intake import Intake
from e2e_controller.leases import Leases
from e2e_controller.probes import Prober
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.reconcile.secrets import Secrets
from e2e_controller.secret_sources import SecretSources
from e2e_controller.shared_folders import SharedFolders
from e2e_controller.sources.reading import read_file
from e2e_controller.store import Store
from e2e_controller.upkeep import Upkeep
from e2e_controller.veil import Veil
from e2e_controller.workqueue import WorkQueue

IMAGE = "busybox:1.36"
START = datetime(2026, 1, 1, tzinfo=UTC)
WORKERS = 8
RESYNC = 60.0
PACE = 0.01
"""Calls take time, or what goes in circles would go round for ever in no time."""


class World:
    """What outlives a controller: the engine, the folders, the clock on the wall."""

    def __init__(self, root: Path, images: Iterable[str] = (IMAGE,)) -> None:
        self.directories = Directories(root / "state")
        self.folder = root / "manifests"
        self.folder.mkdir(parents=True)
        self.directories.manifests.mkdir(parents=True)
        self.clock_error = timedelta()
        """How wrong the clock on the wall is."""
        self.engine = FakeEngine(now=self.true_time)
        self.images = tuple(images)
        self.pullable = {"later:1", "always:1"}

    def true_time(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def now(self) -> datetime:
        return self.true_time() + self.clock_error

    def driver(self, faults: Iterable[Fault] = ()) -> FaultyDriver:
        return FaultyDriver(
            faults=faults,
            engine=self.engine,
            images=self.images,
            pullable=self.pullable,
            state_dir=self.directories.state,
            pace=PACE,
        )

    def close(self) -> None:
        """Ends what runs in containers."""
        for found in self.engine.containers.values():
            self.engine.end(found, 0)

    def write(self, name: str, *documents: Any) -> Path:
        """Puts a manifest file into the user's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n---\n".join(json.dumps(document) for document in documents))
        return path

    def container(self, key: Key) -> Container | None:
        """As the engine has it."""
        found = self.engine.containers.get(f"{key.environment}.{key.name}")
        return found.view if found is not None else None


class PlainSource:
    """Reads a folder when it is told to; the watching has tests of its own."""

    def __init__(self, root: Path, intake: Intake) -> None:
        self._root = root
        self._intake = intake
        self._known: set[str] = set()

    def look(self) -> None:
        there = {str(path) for path in self._root.rglob("*.json")}
        for path in sorted(there | self._known):
            self._take_in(path)

    async def ingest(self, path: Path) -> None:
        self._take_in(str(path))

    def _take_in(self, path: str) -> None:
        reading = read_file(path, insist=True)
        if not reading.absent:
            self._known.add(path)
            self._intake.changed(reading.to_source_file(str(self._root)))
        elif path in self._known:
            self._known.discard(path)
            self._intake.gone(path)


class Core:
    """One life of a controller."""

    def __init__(self, world: World, driver: FaultyDriver) -> None:
        self.world = world
        self.driver = driver
        self.queue: WorkQueue[Key] = WorkQueue(jitter=lambda: 0.5)
        self.events = EventLog(world.now)
        self.store = Store(self.queue.add, self.events)
        directories = world.directories
        self.intake = Intake(self.store, directories, "test")
        self.managed = PlainSource(directories.manifests, self.intake)
        self.user = PlainSource(world.folder, self.intake)
        self.intake.attach(self.managed)  # type: ignore[arg-type]
        self.leases = Leases(self.store, self.intake, self.events, directories, 2.0, world.now)
        self._tasks: list[asyncio.Task[None]] = []
        self._claims: dict[str, bool] = {}
        """Environments that a client claims, and whether it holds them."""

    async def start(self) -> None:
        await self.driver.start()
        info = await self.driver.info()
        world = self.world
        self.prober = Prober(self.driver, info, self.queue.add, world.now)
        self.reconciler = Reconciler(
            self.store,
            self.queue,
            self.driver,
            self.prober,
            self.events,
            world.directories,
            SharedFolders(world.directories, info),
            Instruments(),
            Guests(self.driver, info),
            Secrets(SecretSources(b"key", None, (), {}), Veil()),
            world.now,
        )
        self.upkeep = Upkeep(
            self.store,
            self.queue,
            self.driver,
            world.directories,
            self.reconciler.strays,
            self.reconciler.retry_now,
        )
        self.user.look()
        self.managed.look()
        self._spawn(self.upkeep.follow_engine())
        for _ in range(WORKERS):
            self._spawn(self.reconciler.work())
        self._spawn(self.upkeep.resync(RESYNC))
        serving = asyncio.Event()
        serving.set()
        self.leases.recover(serving, grace=2.0)
        self._spawn(self.leases.follow())

    async def kill(self) -> None:
        """As SIGKILL does: from here on it changes nothing in the world."""
        self.driver.faults.crashed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.leases.close()
        await self.reconciler.aclose()
        await self.prober.aclose()
        self.queue.close()

    def file(self, key: Key, path: str) -> bytes | None:
        """What a file has that is in the container of that key."""
        found = self.world.engine.containers.get(f"{key.environment}.{key.name}")
        return found.files[path][0] if found is not None and path in found.files else None

    def ends(self, key: Key) -> bool:
        """Whether that object is about to go, or gone."""
        object_ = self.store.get(key)
        return object_ is None or object_.deleting

    def holds(self, environment: str, *, fresh: bool) -> bool:
        """Whether a client holds it; the first look of each life makes one that claims it."""
        if environment not in self._claims:
            self._claims[environment] = False
            self._spawn(self._claim(environment, fresh))
        return self._claims[environment]

    async def _claim(self, environment: str, fresh: bool) -> None:
        """As a patient client: told that what was there is not gone yet, it tries again."""
        while True:
            with contextlib.suppress(WaitTimeout):
                async with self.leases.hold(environment, keep=False, fresh=fresh):
                    self._claims[environment] = True
                    await asyncio.Event().wait()

    def check_alive(self) -> None:
        """A background task that failed would end the controller."""
        for task in self._tasks:
            if task.done():
                task.result()
                raise AssertionError("a background task ended")

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))


Goal = Callable[[Core], object]
