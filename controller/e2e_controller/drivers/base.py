"""The Driver protocol: what a back end that runs containers must do. Its values and errors are had here, too.

A driver decides nothing. Every call is safe to repeat after a crash: creating what is there and removing
what is not are no errors. Every call is bounded in time by the driver. Objects of other owners are
invisible to a driver, but for names that they occupy: those raise `NameTaken`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from e2e_controller.drivers.errors import (
    ContainerGone,
    ContainerNotRunning,
    DriverError,
    EngineUnavailable,
    ImageFailed,
    NameTaken,
    NoSuchPath,
    PortTaken,
    ReadOnly,
    SpecRefused,
)
from e2e_controller.drivers.inventory import Inventory
from e2e_controller.drivers.labels import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    LABEL_KIND,
    LABEL_NAME,
    LABEL_SPEC_HASH,
)
from e2e_controller.drivers.values import (
    NAME_IS_FREE,
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerPhase,
    ContainerSpec,
    EngineInfo,
    ExitCode,
    FileContent,
    Guest,
    GuestMount,
    Health,
    Key,
    ListedContainer,
    Mount,
    Output,
    PortSpec,
)

__all__ = [
    "LABEL_CONTROLLER",
    "LABEL_ENVIRONMENT",
    "LABEL_KIND",
    "LABEL_NAME",
    "LABEL_SPEC_HASH",
    "NAME_IS_FREE",
    "BuildSpec",
    "Container",
    "ContainerEvent",
    "ContainerGone",
    "ContainerNotRunning",
    "ContainerPhase",
    "ContainerSpec",
    "Copied",
    "Driver",
    "DriverError",
    "EngineInfo",
    "EngineUnavailable",
    "ExecSession",
    "ExitCode",
    "FileContent",
    "Guest",
    "GuestMount",
    "Health",
    "ImageFailed",
    "Key",
    "ListedContainer",
    "Mount",
    "NameTaken",
    "NoSuchPath",
    "Output",
    "PortSpec",
    "PortTaken",
    "PullProgress",
    "ReadOnly",
    "SpecRefused",
]

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

    def subnet(self, environment: str) -> str:
        """The address range of the environment's network, as last seen: `10.201.0.0/24`; "" if not known."""

    async def remove_environment(self, environment: str) -> None:
        """Removes the network, the named volumes and the images that were built. Containers must be gone.

        An image that somebody else uses stays.
        """

    async def find_guest(self, ids: Sequence[str], address: str = "") -> Guest | None:
        """The first container that runs and has one of the ids, else the one that has the address."""

    async def admit(self, environment: str, container_id: str) -> None:
        """Takes a container that is not ours into the environment's network, unless it is in it.

        It leaves with `dismiss`, and when the network is removed, whoever removes it. Raises `ContainerGone`
        where there is no such container or network, and `SpecRefused` where it can be in no other network.
        """

    async def dismiss(self, environment: str, container_id: str) -> None:
        """Takes it out again; nothing to do where it is not in it."""

    async def image_present(self, reference: str, environment: str = "") -> bool:
        """Whether the image is there without a pull. `environment` is who asks, since they take turns."""

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
    ) -> AsyncGenerator[Output, None]:
        """What the container wrote; with `follow` until it ends or the iterator is closed."""

    async def copy_in(self, container_id: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        """Unpacks a tar stream below a directory. Raises `NoSuchPath`, `ReadOnly`, `SpecRefused` (no tar)."""

    def copy_out(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """A tar stream of a path. Raises `NoSuchPath`."""

    async def remove_tree(self, path: str) -> None:
        """Removes a directory on the engine's host, with files in it that containers wrote as root."""
