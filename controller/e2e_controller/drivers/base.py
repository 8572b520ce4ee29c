"""The Driver protocol: what a back end that runs containers must do, and the values it speaks in.

A driver decides nothing. Every call is safe to repeat after a crash: creating what is there and removing
what is not are no errors. Every call is bounded in time by the driver. Objects of other owners are
invisible to a driver, but for names that they occupy: those raise `NameTaken`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from e2e_api.conditions import Reason
from e2e_controller.drivers.inventory import Inventory
from e2e_controller.drivers.labels import LABEL_CONTROLLER as LABEL_CONTROLLER
from e2e_controller.drivers.labels import LABEL_ENVIRONMENT as LABEL_ENVIRONMENT
from e2e_controller.drivers.labels import LABEL_KIND as LABEL_KIND
from e2e_controller.drivers.labels import LABEL_NAME as LABEL_NAME
from e2e_controller.drivers.labels import LABEL_SPEC_HASH as LABEL_SPEC_HASH


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
    """A port to publish on loopback. `host_port` None: the driver chooses one, at creation, for good."""

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


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file copied in between creation and first start."""

    path: str
    content: bytes
    mode: int = 0o644


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
    network_id: str = ""
    """The network it is in; empty before its first start, and where it was taken out."""
    address: str = ""
    """Its own address in the environment's network; empty while it does not run."""
    host_ports: Mapping[str, int] = field(default_factory=dict)
    """Published host port for each `8080/tcp`-like container port; also while it does not run."""

    def is_same_end(self, other: "Container | None") -> bool:
        """Whether both have ended, and are the same run of the same container."""
        if other is None or self.phase is not ContainerPhase.EXITED or other.phase is not self.phase:
            return False
        return (self.id, self.finished_at) == (other.id, other.finished_at)


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """As much of a container of ours as a list of all tells."""

    key: Key
    id: str
    phase: ContainerPhase
    network_id: str = ""

    def is_as_known(self, container: Container | None) -> bool:
        """Whether the container is, by all that is listed, as it was at a look before."""
        if container is None or (self.id, self.phase) != (container.id, container.phase):
            return False
        return self.phase is not ContainerPhase.RUNNING or self.network_id == container.network_id


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


class DriverError(Exception):
    """Base. `reason` becomes the condition's reason, `remedy` ends its message.

    `retry`: whether trying again can help without somebody changing something.
    """

    reason: str = Reason.ENGINE_ERROR
    retry: bool = True

    def __init__(
        self, message: str, *, reason: str = "", remedy: str = "", retry: bool | None = None
    ) -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.reason = reason or type(self).reason
        self.retry = type(self).retry if retry is None else retry


class EngineUnavailable(DriverError):  # noqa: N818
    """The engine does not answer."""

    reason = Reason.ENGINE_UNAVAILABLE


class ContainerGone(DriverError):  # noqa: N818
    """The container (network, image) that was named is not there any more."""


class ContainerNotRunning(DriverError):  # noqa: N818
    """The container is there but does not run (or is paused), and the call needs it to."""


class NameTaken(DriverError):  # noqa: N818
    """A container or network that is not ours has the name. It is never touched."""

    reason = Reason.NAME_CONFLICT


class PortTaken(DriverError):  # noqa: N818
    """A host port is in use. `chosen`: by our own choice, so that another one helps."""

    reason = Reason.PORT_TAKEN

    def __init__(self, message: str, *, chosen: bool = False, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.chosen = chosen


class ImageFailed(DriverError):  # noqa: N818
    """The image cannot be had. `retry` False where the registry says that there is none."""

    reason = Reason.IMAGE_PULL_FAILED


class SpecRefused(DriverError):  # noqa: N818
    """The engine refuses the container as specified; only another manifest helps."""

    reason = Reason.CREATE_FAILED
    retry = False


PullProgress = Callable[[str], None]
"""Is given a short line such as `pulling 42% (3 of 7 layers)`; called in the event loop."""


Copied = Callable[[float], None]
"""Is told how many seconds it took to copy files in."""


class ExecSession(Protocol):
    """A running command. Iterating gives `Output`s, then one `ExitCode`."""

    def __aiter__(self) -> AsyncIterator[Output | ExitCode]: ...

    async def write(self, data: bytes) -> None:
        """Sends a piece of standard input; waits while the command does not read."""

    async def close_stdin(self) -> None:
        """Ends standard input."""

    async def close(self) -> None:
        """Leaves the command; it is not killed where the engine cannot."""


class Driver(Protocol):
    """A back end that runs containers. One instance serves one controller, known by its id."""

    @property
    def inventory(self) -> Inventory:
        """What all controllers have on the same back end."""

    async def start(self) -> None:
        """Connects. Raises `EngineUnavailable` with the remedy."""

    async def close(self) -> None:
        """Ends all that runs in this process; containers stay."""

    async def info(self) -> EngineInfo:
        """About the back end. Raises `EngineUnavailable`."""

    def events(self) -> AsyncIterator[ContainerEvent]:
        """What happens to our objects, for ever; reconnects by itself.

        Yields `key` None each time that it is connected (`connected`, later `reconnected`): what happens
        from there on is told, what happened before has to be looked at. Also each time that the connection
        is lost or cannot be made (`disconnected`): a look shows whether the engine is away. An event of a
        network has the container's key where a container left it, else the key of the `Environment`.
        """

    async def list_containers(self) -> Sequence[ListedContainer]:
        """All our containers."""

    async def list_environments(self) -> Mapping[str, str]:
        """Environments that have a network, a volume or an image of ours; with the network's id, or ""."""

    async def inspect(self, key: Key) -> Container | None:
        """A fresh look. Raises `NameTaken` where a foreign container has the name."""

    async def ensure_network(self, environment: str) -> str:
        """The id of the environment's network, which is made if need be."""

    async def inspect_network(self, environment: str) -> str | None:
        """The id of the environment's network, if it is there. Raises `NameTaken`."""

    async def remove_environment(self, environment: str) -> None:
        """Removes the network, the named volumes and the images that were built. Containers must be gone.

        An image that somebody else uses stays.
        """

    async def image_present(self, reference: str) -> bool:
        """Whether the image is there without a pull."""

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Pulls an image; callers of one reference share one pull. Raises `ImageFailed`."""

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Builds and tags an image. Raises `ImageFailed` with the last output."""

    async def context_digest(self, spec: BuildSpec) -> str:
        """Of what a build would be made of, whatever its times are; "" where that cannot be read."""

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Creates the container, files copied in, not started; returns its id.

        A container of ours that has the name already raises `NameTaken`. Raises `SpecRefused`,
        `PortTaken`, `ContainerGone` (no such image).
        """

    async def put_files(self, container_id: str, files: Sequence[FileContent]) -> None:
        """Writes files into a container, running or not, with their directories.

        Not at once: who reads meanwhile may find a part. Raises `ContainerGone`, `SpecRefused`.
        """

    async def start_container(self, container_id: str) -> None:
        """Starts, or starts again. Raises `PortTaken`, `SpecRefused`, `ContainerGone`.

        A paused one raises `ContainerNotRunning`: it wants `unpause`.
        """

    async def stop(self, container_id: str, grace: float) -> None:
        """Sends the stop signal, kills after `grace` seconds; returns when it has ended.

        Whole seconds count, rounded up. Where it does not run there is nothing to do.
        """

    async def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Sends a signal; with SIGKILL returns when it has ended. Nothing to do where it does not run."""

    async def pause(self, container_id: str) -> None:
        """Freezes all processes. Raises `ContainerNotRunning`."""

    async def unpause(self, container_id: str) -> None:
        """Thaws them; nothing to do where they are not frozen."""

    async def describe(self, container_id: str) -> Mapping[str, Any]:
        """All that the back end itself says of a container, secrets and all. Raises `ContainerGone`."""

    async def remove(self, container_id: str) -> None:
        """Removes the container, killing it if it runs, and its anonymous volumes."""

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        stdin: bool = False,
    ) -> ExecSession:
        """Runs a command inside. Raises `ContainerGone`, `ContainerNotRunning`.

        A program that is not there is exit code 127, one that cannot be run 126, with why on stderr.
        """

    def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[Output]:
        """What the container wrote; with `follow` until it ends or the iterator is closed."""

    async def copy_in(self, container_id: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        """Unpacks a tar stream below a directory."""

    def copy_out(self, container_id: str, path: str) -> AsyncIterator[bytes]:
        """A tar stream of a path. Raises `ContainerGone` where there is no such path."""

    async def remove_tree(self, path: str) -> None:
        """Removes a directory on the engine's host, with files in it that containers wrote as root."""
