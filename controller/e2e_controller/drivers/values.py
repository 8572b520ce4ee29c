"""The values that a driver speaks in: what a container shall be, what it is, what happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names one object: what queues carry, and what a container is found by."""

    environment: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.kind}/{self.name}"


class ContainerPhase(StrEnum):
    """What the engine says that a container does."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """What the image's HEALTHCHECK says; NONE where the image has none."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A port to publish. `host_port` None: the driver chooses one, at creation, for good."""

    container_port: int
    host_port: int | None = None
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class Mount:
    """A named volume (of the environment) or a host path, at `target`."""

    source: str
    target: str
    read_only: bool = False
    is_host_path: bool = False
    is_own_path: bool = False
    """Of a host path: it is one of this process, which may see it elsewhere than the engine's host does."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file copied in between creation and first start."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    uid: int | None = None
    """Whose it is; None: root's, or, where not everybody may read it, the container's user's."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything that makes a container what it is; its hash is the spec hash."""

    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    ports: Mapping[str, PortSpec] = field(default_factory=dict)
    files: tuple[FileContent, ...] = ()
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """The user's own."""
    memory: int | None = None
    """Bytes."""
    cpus: float | None = None
    """Cores."""
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    userns: str = ""
    stop_signal: str = "SIGTERM"
    attempt: int = 0
    """Counts the containers of a job that is tried again."""
    kept_ports: Mapping[str, int] = field(default_factory=dict)
    """By `8080/tcp`-like port: what the driver chose for the container before it, and takes again where that
    is free. No part of the hash."""


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """An image to build. `context` is an absolute path on the controller's machine."""

    tag: str
    context: str
    dockerfile: str = "Dockerfile"
    args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of ours, as the engine shows it now."""

    id: str
    key: Key
    spec_hash: str
    """Empty: its creation was not finished (its files may be missing); it equals no wanted hash."""
    image: str
    phase: ContainerPhase
    created_at: datetime
    attempt: int = 0
    """Which of a job's containers it is."""
    started_at: datetime | None = None
    """None: it never ran."""
    finished_at: datetime | None = None
    exit_code: int | None = None
    """Only where it has ended; above 128 the signal number + 128."""
    oom_killed: bool = False
    error: str = ""
    """Why the engine could not start it."""
    health: Health = Health.NONE
    health_output: str = ""
    """What the last run of the image's HEALTHCHECK said, and how it ended."""
    network_id: str = ""
    """The network it is in; empty before its first start, and where it was taken out."""
    address: str = ""
    """Its own address in the environment's network; empty while it does not run."""
    host_ports: Mapping[str, int] = field(default_factory=dict)
    """Published host port for each `8080/tcp`-like container port; also while it does not run."""
    host_address: str = "127.0.0.1"
    """Where this process reaches those; empty where it does not."""

    def is_same_end(self, other: "Container | None") -> bool:
        """Whether both have ended, and are the same run of the same container."""
        if other is None or self.phase is not ContainerPhase.EXITED or other.phase is not self.phase:
            return False
        return (self.id, self.started_at) == (other.id, other.started_at)


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """As much of a container of ours as a list of all tells."""

    key: Key
    id: str
    phase: ContainerPhase
    network_id: str = ""
    is_stray: bool = False
    """It is not the container of its key: it has another name, as one that was renamed by hand."""

    def is_as_known(self, container: Container | None) -> bool:
        """Whether the container is, by all that is listed, as it was at a look before."""
        if container is None or (self.id, self.phase) != (container.id, container.phase):
            return False
        return self.phase is not ContainerPhase.RUNNING or self.network_id == container.network_id


@dataclass(frozen=True, slots=True)
class GuestMount:
    """What a guest has of the engine's host at `target`; `volume` is the volume's name, if it is one."""

    source: str
    target: str
    writable: bool = True
    volume: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """A running container that is not ours: a caller's, or that of this very process."""

    id: str
    name: str
    addresses: frozenset[str] = frozenset()
    """Its own, in all its networks."""
    gateways: frozenset[str] = frozenset()
    """The host's, in all its networks."""
    on_host_network: bool = False
    network_of: str = ""
    """The id of the container whose network it is in: mostly its own."""
    mounts: tuple[GuestMount, ...] = ()

    def mount_at(self, path: str) -> GuestMount | None:
        """The mount that has what is at that path of its own; None where it is in the container alone."""
        there = [mount for mount in self.mounts if PurePosixPath(path).is_relative_to(mount.target)]
        return max(there, key=lambda mount: len(PurePosixPath(mount.target).parts), default=None)

    def host_path(self, path: str) -> str | None:
        """Where a path of its own is on the engine's host; None where it is in the container alone."""
        mount = self.mount_at(path)
        return (
            str(PurePosixPath(mount.source) / PurePosixPath(path).relative_to(mount.target))
            if mount
            else None
        )

    def path_inside(self, host_path: str) -> str | None:
        """Where it has a path of the engine's host; None where it does not have it."""
        found = (
            str(PurePosixPath(mount.target) / PurePosixPath(host_path).relative_to(mount.source))
            for mount in self.mounts
            if PurePosixPath(host_path).is_relative_to(mount.source)
        )
        # A deeper mount may hide it.
        return next((path for path in found if self.host_path(path) == host_path), None)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What `doctor` and probes need to know of the back end."""

    name: str
    version: str
    api_version: str
    operating_system: str
    containers_reachable: bool
    """Whether this process reaches containers at their own addresses."""
    local_files: bool
    """Whether host paths on this machine are host paths of the engine, so that they can be mounted."""
    own: Guest | None = None
    """The container that this process runs in; None where it runs in none of this engine."""
    program: str = "Docker"
    """Whose API it is: `Docker`, or `Podman`, which speaks Docker's."""
    is_rootless: bool = False
    """Whether it runs as a user that is not root."""
    is_remote: bool = False
    """Whether it is on another machine, as far as its address tells."""
    socket: str = ""
    """Path of the engine's socket on this machine; empty where it is not on one."""
    published_on: str = "127.0.0.1"
    """The address of the engine's machine that published ports bind to."""


NAME_IS_FREE = "name is free"
"""The action of an event: a foreign thing that had the key's name has it no longer."""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something happened to one of our objects; look again. `key` None: look at everything again."""

    key: Key | None
    action: str


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a process wrote."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class ExitCode:
    """How an executed command ended."""

    code: int
