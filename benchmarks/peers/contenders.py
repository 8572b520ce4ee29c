"""The floor, e2e and its peers, all under one protocol."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import docker.errors

import e2e
from benchmarks.contenders import Floor, remove_all, wait_for_page
from benchmarks.controller_process import ControllerProcess
from benchmarks.peers.order import METRICS, Order
from benchmarks.peers.process import ANSWER_SECONDS, DriverProcess, PeerFailedError
from benchmarks.scenarios.died import Deaths

_TOLD_LINES = 4
_UNHEALTHY_AFTER = "10m"


class Peer(Protocol):
    """Brings what is ordered up and down."""

    name: str

    @property
    def shared(self) -> Path:
        """Where folders of orders have to be."""

    def prepare(self, order: Order) -> None:
        """What is not timed."""

    def up(self) -> None:
        """All are ready when this returns. Raises where one never will be."""

    def down(self) -> None:
        """All are gone when this returns. Also after an `up` that failed."""

    def kept(self) -> Sequence[int]:
        """Processes that it needs while its containers rest, besides its user's own."""


@runtime_checkable
class MetricPeer(Peer, Protocol):
    """Also waits for metrics."""

    def wait_metric(self, value: int) -> None:
        """Until the ordered metric of the first workload is at least that."""


@dataclass(slots=True)
class Direct:
    """The engine called directly, with as many threads as the floor has."""

    floor: Floor
    shared: Path
    name: str = "floor"
    deaths: Deaths | None = None
    """Waits for the containers to end instead, which the engine's events are the first to tell."""
    _order: Order | None = None
    _names: list[str] = field(default_factory=list)
    _address: str = ""
    """Of one of them."""

    def prepare(self, order: Order) -> None:
        """Chooses names."""
        self._order = order
        self._names = [f"{self.floor.run}-floor-{number}" for number in range(order.size)]

    def up(self) -> None:
        """All in parallel."""
        self._parallel(self._start)

    def down(self) -> None:
        """All in parallel."""
        self._parallel(self._remove)

    def kept(self) -> Sequence[int]:
        """Nothing."""
        return ()

    def wait_metric(self, value: int) -> None:
        """Asks for the page until it has the line."""
        assert self._order is not None
        wait_for_page(self._address, METRICS, f"{self._order.metric} {value}\n")

    def _start(self, name: str) -> None:
        order = self._order
        assert order is not None
        binds = [f"{order.folder}:{order.folder}"] if order.folder else []
        address = self.floor.start(name, order.command, binds)
        if self.deaths is not None:
            self.deaths.instant(self.floor.engine.inspect_container(name)["Id"])
            raise PeerFailedError(f"{name} has ended")
        self._address = address
        wait_for_page(address, order.page)

    def _remove(self, name: str) -> None:
        with suppress(docker.errors.NotFound):
            self.floor.remove(name)

    def _parallel(self, function: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(self.floor.threads) as pool:
            list(pool.map(function, self._names))


@dataclass(slots=True)
class Ours:
    """e2e, as a test uses it."""

    environment: e2e.Environment
    client: e2e.Client
    controller: ControllerProcess
    name: str = "e2e"
    _workloads: list[e2e.Workload] = field(default_factory=list)
    _order: Order | None = None

    @property
    def shared(self) -> Path:
        """Every container of the environment sees it."""
        return self.environment.shared_dir

    def prepare(self, order: Order) -> None:
        """Defines the workloads."""
        self._order = order
        options: e2e.WorkloadOptions = {
            "image": order.image,
            "command": list(order.command),
            "ports": {"http": order.port},
            "readiness": e2e.HttpProbe(port="http", path=order.page),
        }
        if order.metric:
            options["metrics"] = "http"
        self._workloads = [
            self.environment.workload(f"server-{number}", **options) for number in range(order.size)
        ]

    def up(self) -> None:
        """Applies and waits."""
        self.environment.start_and_wait_ready(*self._workloads)

    def down(self) -> None:
        """Deletes and waits."""
        remove_all(self.client, self.environment, self._workloads)

    def kept(self) -> Sequence[int]:
        """The controller."""
        return [self.controller.pid]

    def wait_metric(self, value: int) -> None:
        """Waits."""
        assert self._order is not None
        self._workloads[0].wait_sum_metrics(e2e.greater_or_equal(value), self._order.metric)


@dataclass(slots=True)
class Driven:
    """A peer behind a driver."""

    name: str
    process: DriverProcess
    prefix: str
    shared: Path
    resolve: Callable[[str], int]
    """A container's main process."""

    def prepare(self, order: Order) -> None:
        """Tells the order."""
        self.process.ask(f"prepare {order.line(self.prefix)}")

    def up(self) -> None:
        """Tells, and waits."""
        self.process.ask("up")

    def down(self) -> None:
        """Tells, and waits."""
        self.process.ask("down")

    def kept(self) -> Sequence[int]:
        """Its children, and containers of its own."""
        containers = self.process.ask("kept").split()
        return [*descendants(self.process.pid), *map(self.resolve, containers)]


class DrivenGo(Driven):
    """The Go framework: it also knows metrics, and tells the Thanos story."""

    __slots__ = ()

    def wait_metric(self, value: int) -> None:
        """Tells, and waits."""
        self.process.ask(f"metric {value}")


@dataclass(slots=True)
class Compose:
    """A command for each way: `up --wait`, whose health checks the engine makes, and `down`.

    With the usual timeout a stop would take ten seconds, which this server lets pass; all others kill.
    """

    command: Sequence[str]
    project: str
    shared: Path
    variables: Mapping[str, str]
    name: str = "compose"

    def prepare(self, order: Order) -> None:
        """Writes the file."""
        self._file.write_text(json.dumps(compose_file(order)))

    def up(self) -> None:
        """Runs the command."""
        self._run("up", "--detach", "--wait")

    def down(self) -> None:
        """Runs the command."""
        self._run("down", "--timeout", "0", "--volumes")

    def kept(self) -> Sequence[int]:
        """Nothing: the engine makes the health checks."""
        return ()

    @property
    def _file(self) -> Path:
        return self.shared / "compose.yaml"

    def _run(self, *arguments: str) -> None:
        finished = subprocess.run(
            [*self.command, "--project-name", self.project, "--file", str(self._file), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=ANSWER_SECONDS,
            env={**os.environ, **self.variables},
        )
        if finished.returncode:
            raise PeerFailedError("; ".join(finished.stdout.split("\n")[-_TOLD_LINES:]))


def compose_file(order: Order) -> Mapping[str, Any]:
    """As its documentation has it: a health check, and a period in which failures of it do not count."""
    page = f"http://127.0.0.1:{order.port}{order.page}"
    service: dict[str, Any] = {
        "image": order.image,
        "command": [word.replace("$", "$$") for word in order.command],
        "ports": [f"127.0.0.1::{order.port}"],
        "healthcheck": {
            "test": ["CMD", "wget", "-q", "-O", "/dev/null", page],
            "interval": order.period,
            "timeout": "10s",
            "start_period": _UNHEALTHY_AFTER,
        },
    }
    if order.folder:
        service["volumes"] = [f"{order.folder}:{order.folder}"]
    return {"services": {f"server-{number}": service for number in range(order.size)}}


def descendants(leader: int) -> list[int]:
    """All other processes of that one's session that have not ended."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the program's name, which may hold anything: state, parent, group, session.
            state, _, _, session = file.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader != int(file.parent.name) and state != "Z":
                found.append(int(file.parent.name))
    return found
