"""Who brings a fleet up and down: the engine called directly, e2e, later its peers."""

import http.client
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from docker import APIClient

import e2e
from benchmarks.bench import LABEL, WAIT_SECONDS, remove_labelled
from e2e_api.v1 import object_pb2

PORT = 8080
PAGE = "/hostname"
_FOLDER = "/etc"
_LABELS = 6
"""As many as a container of e2e's has."""
_POLL_PAUSE = 0.005
"""Between looks at a container that does not answer yet: faster looks take the processor from its start."""


class Contender(Protocol):
    """Brings a fleet of small HTTP servers up and down."""

    @property
    def name(self) -> str:
        """Under which its samples are kept."""

    def prepare(self, size: int) -> None:
        """What is not timed: values in memory, nothing in the engine."""

    def up(self) -> None:
        """All are ready when this returns."""

    def down(self) -> None:
        """All are gone when this returns."""


def server_command(folder: str = _FOLDER) -> list[str]:
    """Serves the files of a folder; one process, ready in a few ms."""
    return ["httpd", "-f", "-p", str(PORT), "-h", folder]


def server_options(image: str, *, folder: str = _FOLDER, page: str = PAGE) -> e2e.WorkloadOptions:
    """A workload that is `server_command`, ready when it serves the page."""
    return {
        "image": image,
        "command": server_command(folder),
        "ports": {"http": PORT},
        "readiness": e2e.HttpProbe(port="http", path=page),
    }


@dataclass(slots=True)
class ThroughSdk:
    """e2e, as a test uses it: one Apply of all, one wait; one Delete of all, one wait."""

    environment: e2e.Environment
    client: e2e.Client
    image: str
    name: str = "e2e"
    _workloads: list[e2e.Workload] = field(default_factory=list)

    def prepare(self, size: int) -> None:
        """Defines the workloads."""
        self._workloads = [
            self.environment.workload(f"server-{number}", **server_options(self.image))
            for number in range(size)
        ]

    def up(self) -> None:
        """Applies and waits."""
        self.environment.start_and_wait_ready(*self._workloads)

    def down(self) -> None:
        """Deletes and waits."""
        remove_all(self.client, self.environment, self._workloads)


def remove_all(client: e2e.Client, environment: e2e.Environment, workloads: Sequence[e2e.Workload]) -> None:
    """Removes all the workloads at once, and waits until nothing is left of them."""
    keys = [
        object_pb2.ObjectKey(environment=environment.name, kind="Workload", name=workload.name)
        for workload in workloads
    ]
    client.delete(keys)
    client.wait(keys, e2e.Goal.DELETED, WAIT_SECONDS)


@dataclass(slots=True)
class Floor:
    """The engine called directly, by docker-py from a pool of threads: no program can need less for the same.

    For each container: create (one published port), start, one inspect, then its page at its own address.
    """

    engine: APIClient
    run: str
    image: str
    threads: int
    network: str
    name: str = "floor"
    removals: int | None = None
    """How many it removes at once, where that is not the number of threads."""
    _names: list[str] = field(default_factory=list)

    def prepare(self, size: int) -> None:
        """Chooses names."""
        self._names = [f"{self.run}-floor-{number}" for number in range(size)]

    def up(self) -> None:
        """All in parallel."""
        self._parallel(self._start, self.threads)

    def down(self) -> None:
        """All in parallel."""
        self._parallel(self.remove, self.removals or self.threads)

    def _start(self, name: str) -> None:
        wait_for_page(self.start(name, server_command()), PAGE)

    def start(self, name: str, command: Sequence[str], binds: Sequence[str] = ()) -> str:
        """Creates and starts one; gives its own address."""
        made = self.engine.create_container_from_config(  # type: ignore[no-untyped-call]
            self._body(name, command, binds), name
        )
        self.engine.start(made["Id"])
        found = self.engine.inspect_container(made["Id"])
        return str(found["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    def remove(self, name: str) -> None:
        """Removes one, killing it."""
        self.engine.remove_container(name, v=True, force=True)

    def _parallel(self, function: Callable[[str], None], threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(function, self._names))

    def _body(self, name: str, command: Sequence[str], binds: Sequence[str]) -> Mapping[str, Any]:
        labels = {f"{LABEL}.{number}": str(number) for number in range(1, _LABELS)}
        return {
            "Image": self.image,
            "Hostname": name,
            "Cmd": list(command),
            "Labels": {LABEL: self.run, **labels},
            "ExposedPorts": {f"{PORT}/tcp": {}},
            "HostConfig": {
                "NetworkMode": self.network,
                "Binds": list(binds),
                "PortBindings": {f"{PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
            },
            "NetworkingConfig": {"EndpointsConfig": {self.network: {"Aliases": [name]}}},
        }


@contextmanager
def floor(engine: APIClient, run: str, image: str, threads: int) -> Iterator[Floor]:
    """The floor with a bridge network of its own, made before and removed after."""
    name = f"{run}-floor"
    engine.create_network(name, driver="bridge", labels={LABEL: run})
    try:
        yield Floor(engine, run, image, threads, name)
    finally:
        remove_labelled(engine, f"{LABEL}={run}")


def wait_for_page(address: str, path: str, text: str = "") -> None:
    """Asks at the container's own address until it answers 200 with that text. Raises TimeoutError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not _answers(address, path, text.encode()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"http://{address}:{PORT}{path} did not answer 200")
        time.sleep(_POLL_PAUSE)


def _answers(address: str, path: str, text: bytes) -> bool:
    connection = http.client.HTTPConnection(address, PORT, timeout=1)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status == http.client.OK and text in response.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
