"""What the fake "runs": containers, networks, volumes, images. Several drivers may share one engine."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from e2e_controller.drivers.base import (
    Container,
    ContainerEvent,
    ContainerPhase,
    ContainerSpec,
    Guest,
    Output,
    PortTaken,
)
from e2e_controller.drivers.fake.processes import PROGRAMS, FakeExec, FakeProcess, Program, find_program
from e2e_controller.drivers.inventory import Owner

KILLED = 137
TERMINATED = 143


@dataclass(slots=True)
class FakeImage:
    """What an image says of itself."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ("sleep", "infinity")
    owner: str = ""
    """The controller that built it."""
    environment: str = ""
    """For which it was built."""


@dataclass(slots=True)
class FakeContainer:
    """A container, with all that the protocol does not show."""

    owner: str
    """The controller's id; "" where nobody of ours made it."""
    spec: ContainerSpec
    view: Container
    chosen_ports: frozenset[int] = frozenset()
    finished: bool = True
    arguments: tuple[str, ...] = ()
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    log: list[tuple[datetime, Output]] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    """All that it was sent."""
    process: FakeProcess | None = None
    sessions: list[FakeExec] = field(default_factory=list)
    """Commands that run in it besides."""
    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, whenever there is something new in the log, or the end."""

    @property
    def name(self) -> str:
        """Its name on the engine."""
        return f"{self.view.key.environment}.{self.view.key.name}"

    @property
    def lives(self) -> bool:
        """Whether its process is there."""
        return self.view.phase in (ContainerPhase.RUNNING, ContainerPhase.PAUSED)

    def set(self, phase: ContainerPhase) -> None:
        """Changes the phase."""
        self.view = replace(self.view, phase=phase)

    def notify(self) -> None:
        """Wakes who follows the log."""
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(slots=True)
class FakeEngine:
    """The state that outlives a driver, as an engine outlives a controller."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    images: dict[str, FakeImage] = field(default_factory=dict)
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    """By name."""
    networks: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Id and owner of each environment's network."""
    volumes: dict[tuple[str, str], str] = field(default_factory=dict)
    """Owner of each environment's volumes."""
    owners: dict[str, Owner] = field(default_factory=dict)
    """Where each controller lives, by id."""
    guests: dict[str, Guest] = field(default_factory=dict)
    """Running containers that are not ours, by id."""
    admitted: dict[str, set[str]] = field(default_factory=dict)
    """Which of them are in each environment's network."""
    programs: dict[str, Program] = field(default_factory=lambda: dict(PROGRAMS))
    """What runs by itself, by name or command line. A container of any other runs until it is ended."""
    taken_ports: set[int] = field(default_factory=set)
    """Host ports that somebody else has."""
    followers: list[tuple[str, asyncio.Queue[ContainerEvent]]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    """Of containers that were added, by id: what is asked for all the time must not take a search."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _port: int = 20000

    def new_id(self) -> str:
        """An id such as an engine gives."""
        return f"{next(self._numbers):064x}"

    def rename(self, old: str, new: str) -> None:
        """Gives a container another name."""
        container = self.containers[new] = self.containers.pop(old)
        self._names[container.view.id] = new

    def find(self, container_id: str) -> FakeContainer | None:
        """The container of that id."""
        found = self.containers.get(self._names.get(container_id, ""))
        return found if found is not None and found.view.id == container_id else None

    def add(self, container: FakeContainer) -> None:
        """It is there from now on."""
        self.containers[container.name] = container
        self._names[container.view.id] = container.name

    def emit(self, container: FakeContainer, action: str) -> None:
        """Tells the owner's drivers."""
        for owner, queue in self.followers:
            if owner == container.owner:
                queue.put_nowait(ContainerEvent(container.view.key, action))

    def choose_port(self, kept: int | None = None) -> int:
        """A host port that nothing has, `kept` if it is one."""
        used = {port for found in self.containers.values() for port in found.view.host_ports.values()}
        if kept is not None and kept not in used | self.taken_ports:
            return kept
        while self._port in used | self.taken_ports:
            self._port += 1
        self._port += 1
        return self._port - 1

    def check_ports(self, container: FakeContainer) -> None:
        """Raises `PortTaken` where a host port of the container is in use."""
        wanted = set(container.view.host_ports.values())
        if not wanted:
            return
        others = [found for found in self.containers.values() if found.lives and found is not container]
        used = self.taken_ports.union(*(found.view.host_ports.values() for found in others))
        for port in used & wanted:
            raise PortTaken(
                f"start {container.view.key}: Bind for 127.0.0.1:{port} failed: port is already allocated",
                chosen=port in container.chosen_ports,
            )

    def run(self, container: FakeContainer, network_id: str) -> None:
        """Starts its process."""
        number = int(container.view.id, 16)
        container.view = replace(
            container.view,
            phase=ContainerPhase.RUNNING,
            started_at=self.now(),
            finished_at=None,
            exit_code=None,
            oom_killed=False,
            error="",
            network_id=network_id,
            address=f"10.201.{number // 250 % 256}.{number % 250 + 2}",
        )
        container.process = self.process(container, container.arguments)
        container.process.output = lambda output: self._write(container, output)
        self.emit(container, "start")
        program = find_program(self.programs, container.arguments)
        if program is not None:
            process = container.process
            container.task = asyncio.get_running_loop().create_task(self._serve(container, process, program))

    def process(self, container: FakeContainer, arguments: Iterable[str]) -> FakeProcess:
        """A process inside, its output not yet connected."""

        async def nowhere(_output: Output) -> None:
            return

        spec = container.spec
        env = dict(spec.env)
        return FakeProcess(
            tuple(arguments), env, spec.user, spec.working_dir or "/", container.files, nowhere
        )

    def log(self, container: FakeContainer, output: Output) -> None:
        """Keeps what the container wrote, by lines."""
        for line in output.data.splitlines(keepends=True):
            container.log.append((self.now(), Output(output.stream, line)))
        container.notify()

    def end(self, container: FakeContainer, code: int, *, oom: bool = False) -> None:
        """The container's process has ended."""
        if not container.lives:
            return
        container.view = replace(
            container.view,
            phase=ContainerPhase.EXITED,
            finished_at=self.now(),
            exit_code=code,
            oom_killed=oom,
            address="",
        )
        if container.task is not None and container.task is not asyncio.current_task():
            container.task.cancel()
        container.task = None
        if container.process is not None:
            container.process.ended.set()
        for session in container.sessions:
            session.kill(KILLED)
        container.sessions.clear()
        container.notify()
        if oom:
            self.emit(container, "oom")
        self.emit(container, "die")

    async def signal(self, container: FakeContainer, name: str) -> bool:
        """Sends a signal; whether the process listens for it."""
        container.signals.append(name)
        process = container.process
        if process is None or name not in process.traps:
            return False
        process.traps.pop(name).set()
        return True

    async def _write(self, container: FakeContainer, output: Output) -> None:
        self.log(container, output)

    async def _serve(self, container: FakeContainer, process: FakeProcess, program: Program) -> None:
        code = await program(process)
        if container.process is process:
            self.end(container, code)
