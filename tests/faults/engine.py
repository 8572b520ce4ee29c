"""A controller process to be killed, and a look at the real engine behind its back."""

import ctypes
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import grpc
from docker.errors import APIError, NotFound

from e2e_api.v1 import manifest_service_pb2, manifest_service_pb2_grpc, object_pb2
from tests import dice
from tests.engine import networks_kept

IMAGE = "docker.io/library/busybox:1.36"
LIBRARY = ctypes.CDLL(None, use_errno=True)
DETACH = 2
LABEL = "io.e2e.controller"
UNTIL_STOPPED = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]


def soak(name: str, bounded: int) -> int:
    """How often; `make soak` gives more by variables such as E2E_SOAK_KILLS."""
    return int(os.environ.get(f"E2E_SOAK_{name}", bounded))


PATIENCE = float(soak("PATIENCE", 240))
"""Seconds; generous, since what is tested is that all converges, on however loaded a machine."""
TIMEOUT = soak("TIMEOUT", 1200)
"""Seconds for a whole test, in which there are several such waits."""


def chances(record_property: Callable[[str, object], None]) -> random.Random:
    """Random moments that a person can have again: by the seed that the report prints."""
    seed = dice.seed()
    record_property("faults", f"seed {seed}")
    return random.Random(seed)


def workload(name: str, environment: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "e2e/v1",
        "kind": "Workload",
        "metadata": {"name": name, "environment": environment},
        "spec": {"image": IMAGE, "command": UNTIL_STOPPED, **spec},
    }


class Controller:
    """One controller after another, on the same folders."""

    def __init__(self, base: Path, docker_host: str = "", **options: str) -> None:
        self.base = base
        self.folder = base / "manifests"
        self.folder.mkdir(exist_ok=True)
        self.state = base / "state"
        self.address = f"unix://{base}/c.sock"
        self._environment = {**os.environ, **({"DOCKER_HOST": docker_host} if docker_host else {})}
        self._options = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        receive, ready = os.pipe()
        folders = [f"--folder={self.folder}", f"--state-dir={self.state}", f"--listen={self.address}"]
        command = [sys.executable, "-m", "e2e_controller", *folders, f"--ready-fd={ready}", *self._options]
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stderr=log, stdout=log, pass_fds=[ready], env=self._environment
            )
        os.close(ready)
        with os.fdopen(receive) as pipe:
            if wait:
                assert pipe.readline() == "ready\n", self.log()

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(100)
            finally:
                self._process.kill()
                self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    @property
    def memory(self) -> int:
        """Resident bytes."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def environment(self) -> str:
        """A name that no other test has."""
        return self.base.name.replace("_", "x").lower()

    @property
    def identity(self) -> str:
        return (self.state / "controller-id").read_text().strip()

    def log(self) -> str:
        """Its end, for a person to read."""
        return self.whole_log()[-8000:]

    def whole_log(self) -> str:
        return (self.base / "log").read_text(errors="replace")

    def write(self, name: str, *documents: dict[str, Any]) -> Path:
        """Drops a file, by temporary file and rename."""
        path = self.folder / name
        temporary = self.folder / f".{name}.tmp"
        temporary.write_text("\n---\n".join(json.dumps(document) for document in documents))
        return temporary.replace(path)

    def objects(self) -> list[object_pb2.Object]:
        """What the controller says; none while it does not serve."""
        try:
            with grpc.insecure_channel(self.address) as channel:
                stub = manifest_service_pb2_grpc.ManifestServiceStub(channel)
                return list(stub.List(manifest_service_pb2.ListRequest(), timeout=20).objects)
        except grpc.RpcError:
            return []

    def is_true(self, type_: str, number: int) -> bool:
        """Whether the condition is true of so many workloads, all of which are about the newest manifest."""
        found = [o for o in self.objects() if o.key.kind == "Workload"]
        holds = [
            o
            for o in found
            if o.status.observed_generation == o.generation
            and any(
                c.type == type_ and c.status == object_pb2.CONDITION_STATUS_TRUE for c in o.status.conditions
            )
        ]
        return len(found) == len(holds) == number


class Engine:
    """The engine, asked directly, about the objects of one controller."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client

    def containers(self, owner: str) -> dict[str, Any]:
        """By name; each as the engine's list shows it."""
        found = self.client.api.containers(all=True, filters={"label": f"{LABEL}={owner}"})
        # One that is just being removed may have no name any more.
        return {(it["Names"] or [it["Id"]])[0].lstrip("/"): it for it in found}

    def has_variable(self, name: str, variable: str) -> bool:
        """Whether there is such a container, with that `NAME=value`."""
        try:
            return variable in (self.client.api.inspect_container(name)["Config"]["Env"] or ())
        except APIError:  # it is not there, or just being removed
            return False

    def networks(self, owner: str) -> list[str]:
        found = self.client.api.networks(filters={"label": f"{LABEL}={owner}"})
        return sorted(network["Name"] for network in found)

    def left(self, owner: str, log: str = "") -> list[str]:
        """All that is there of a controller, but for networks that the engine itself cannot get rid of."""
        networks = set(self.networks(owner)) - networks_kept(log)
        volumes = self.client.api.volumes(filters={"label": f"{LABEL}={owner}"})["Volumes"] or []
        return [*self.containers(owner), *networks, *(volume["Name"] for volume in volumes)]

    def remove(self, owner: str) -> None:
        """What a failed test would leave."""
        for container in self.containers(owner).values():
            quietly(self.client.api.remove_container, container["Id"], v=True, force=True)
        for network in self.networks(owner):
            quietly(self.client.api.remove_network, network)


def quietly(call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """What races with the controller may find nothing there, or something in its way."""
    try:
        call(*arguments, **options)
    except (NotFound, APIError):
        return


@contextmanager
def open_engine(url: str = "") -> Iterator[Engine]:
    client = docker.DockerClient(base_url=url, timeout=60) if url else docker.from_env(timeout=60)
    try:
        yield Engine(client)
    finally:
        client.close()


def until(
    holds: Callable[[], object], what: str, evidence: Callable[[], str], seconds: float = PATIENCE
) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g}s\n{evidence()}"
        time.sleep(0.1)


def running(engine: Engine, owner: str) -> int:
    return sum(found["State"] == "running" for found in engine.containers(owner).values())


def mount_tmpfs(path: Path, options: str) -> str:
    """Mounts a small file system in memory; returns why it could not, or nothing."""
    done = LIBRARY.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, options.encode())
    return os.strerror(ctypes.get_errno()) if done != 0 else ""


def unmount_below(path: Path) -> None:
    """Detaches whatever is mounted there or below, the deepest first."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((found for found in mounts if Path(found).is_relative_to(path)), reverse=True):
        LIBRARY.umount2(os.fsencode(mount), DETACH)
