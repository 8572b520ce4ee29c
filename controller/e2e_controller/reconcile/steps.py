"""What plans are made of: the steps, what was observed, and what is waited for. Frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import BuildSpec, Container, ContainerSpec, FileContent
from e2e_controller.reconcile.notes import Notes


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and why."""

    cause: str

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Pull(Step):
    """Get the image from its registry."""

    image: str

    def __str__(self) -> str:
        return f"pull {self.image}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Build(Step):
    """Build the image."""

    build: BuildSpec

    def __str__(self) -> str:
        return f"build {self.build.tag}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Create(Step):
    """Create the container; the steps after it that name no container are about this one."""

    spec: ContainerSpec = field(repr=False)
    spec_hash: str

    def __str__(self) -> str:
        return f"create {self.spec.image}: {self.cause}"


@dataclass(frozen=True, slots=True)
class OnContainer(Step):
    """A step about a container; None means the one that was just created."""

    container_id: str | None

    def __str__(self) -> str:
        target = f" {self.container_id[:12]}" if self.container_id else ""
        return f"{type(self).__name__.lower()}{target}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Start(OnContainer):
    """Start it, or start it again; a restart is what `restartPolicy` asks for."""

    is_restart: bool = False


@dataclass(frozen=True, slots=True)
class Stop(OnContainer):
    """Ask it to end; kill it after `grace` seconds."""

    grace: float


class Kill(OnContainer):
    """Kill it."""


class Pause(OnContainer):
    """Freeze it."""


class Unpause(OnContainer):
    """Thaw it."""


class Remove(OnContainer):
    """Remove it, killing it if it runs."""


@dataclass(frozen=True, slots=True)
class Signal(OnContainer):
    """Send it a signal that it lives through."""

    signal: str

    def __str__(self) -> str:
        return f"{self.signal} to {(self.container_id or '')[:12]}: {self.cause}"


@dataclass(frozen=True, slots=True)
class PutFiles(OnContainer):
    """Write files into it."""

    files: Sequence[FileContent] = field(repr=False)
    notes: Notes = field(repr=False)
    """To note in the same breath."""

    def __str__(self) -> str:
        paths = ", ".join(file.path for file in self.files)
        return f"write {paths} into {(self.container_id or '')[:12]}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Note(OnContainer):
    """Note in it what its live files have, for whoever comes after this process."""

    notes: Notes


@dataclass(frozen=True, slots=True)
class Refuse(Step):
    """Nothing helps but another manifest."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why nothing can be created yet."""

    reason: str
    message: str
    hopeless: bool = False
    """Whether it is in vain unless somebody does something."""


NO_NETWORK = Waiting(Reason.PENDING, "waits for the environment's network")


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended for good."""

    reason: str
    message: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What a fresh look found."""

    container: Container | None = None
    image_present: bool | None = None
    """Looked up only where a container has to be created."""
    network_id: str = ""
    """Empty while the environment's network is not there."""
    network_waiting: Waiting = NO_NETWORK
    """What is told while there is no network."""
    waiting: Waiting | None = None
    """For which other objects its creation waits, if it does."""
    cycle: str = ""
    """How what is there depends on itself, so that it could not be created anew."""
    notes: Notes | None = None
    """Looked up only where there are live files; None too where nothing is noted."""
    attempt: int = 0
    """Of a job without a container: which attempt comes next."""
    end: JobEnd | None = None
    """Of a job without a container: how it ended, if it did."""
    rested: bool = False
    """Whether this run of the container was ended because the manifest asked for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. `requeue_after`: look again then, for a restart that is due."""

    steps: tuple[Step, ...] = ()
    requeue_after: float | None = None
    waiting: Waiting | None = None

    def __str__(self) -> str:
        return "\n".join(str(step) for step in self.steps) or "nothing to do"
