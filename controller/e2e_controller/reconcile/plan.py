"""From desired and observed to a short list of steps, each with its cause. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import BuildSpec, Container, ContainerPhase, ContainerSpec
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.desired import Desired

FIRST_RESTART_DELAY = 0.1
LONGEST_RESTART_DELAY = 30.0
_ALIVE = (ContainerPhase.RUNNING, ContainerPhase.PAUSED)


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


class Start(OnContainer):
    """Start it, or start it again."""


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
class Refuse(Step):
    """Nothing helps but another manifest."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Observed:
    """What a fresh look found."""

    container: Container | None = None
    image_present: bool | None = None
    """Looked up only where a container has to be created."""
    network_id: str = ""
    """Empty while the environment's network is not there."""
    rested: bool = False
    """Whether this run of the container was ended because the manifest asked for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. `requeue_after`: look again then, for a restart that is due."""

    steps: tuple[Step, ...] = ()
    requeue_after: float | None = None
    waiting_for_network: bool = False

    def __str__(self) -> str:
        return "\n".join(str(step) for step in self.steps) or "nothing to do"


def plan_workload(desired: Desired | None, observed: Observed, previous: ObjectStatus, now: datetime) -> Plan:
    """What has to be done for one workload."""
    container = observed.container
    if desired is None:
        return Plan(_removal("nobody wants it", container, graceful=None))
    cause = replacement_cause(desired, observed)
    if desired.state in ("Stopped", "Killed"):
        return Plan(_rest(desired, container))
    if container is None or cause:
        removal = _removal(cause or "", container, graceful=desired)
        return _fresh(desired, observed, removal, cause or "it is not there")
    pause = (Pause("state is Paused", container.id),) if desired.state == "Paused" else ()
    if container.phase is ContainerPhase.RUNNING:
        return Plan(pause)
    if container.phase is ContainerPhase.PAUSED:
        return Plan(() if pause else (Unpause("state is Running", container.id),))
    if observed.rested:
        return Plan((Start(f"state is {desired.state} again", container.id), *pause))
    return _start_again(desired, container, previous, now, pause)


def replacement_cause(desired: Desired, observed: Observed) -> str:
    """Why the container that is there cannot serve; empty if it can."""
    container = observed.container
    if container is None:
        return ""
    if container.spec_hash != desired.spec_hash:
        return "its spec changed"
    if container.phase is ContainerPhase.DEAD:
        return "the engine gave it up"
    if container.started_at is None and container.phase is ContainerPhase.CREATED:
        return "it was created but never started"
    if observed.network_id and container.network_id and container.network_id != observed.network_id:
        return "its network is gone"
    if observed.network_id and not container.network_id and container.phase in _ALIVE:
        return "it was taken out of its network"
    return ""


def restart_delay(restarts: int) -> float:
    """Seconds between an exit and the next start."""
    return float(min(FIRST_RESTART_DELAY * 2 ** min(restarts, 20), LONGEST_RESTART_DELAY))


def will_restart(restart_policy: str, exit_code: int | None) -> bool:
    """Whether an exited container is started again."""
    return restart_policy == "Always" or (restart_policy == "OnFailure" and exit_code != 0)


def _until_restart(container: Container, previous: ObjectStatus, now: datetime) -> float:
    """Seconds, from when the end was first seen: the engine's clock may be another than ours.

    Where ours was set back since, it is due: no delay may become longer than it is.
    """
    if previous.end_seen_at is None or not container.is_same_end(previous.container):
        return restart_delay(previous.restart_count)
    since = (now - previous.end_seen_at).total_seconds()
    return restart_delay(previous.restart_count) - since if since >= 0 else 0.0


def _removal(cause: str, container: Container | None, graceful: Desired | None) -> tuple[Step, ...]:
    if container is None:
        return ()
    remove = Remove(cause, container.id)
    if graceful and graceful.graceful_removal and container.phase is ContainerPhase.RUNNING:
        return (Stop(cause, container.id, graceful.grace_period), remove)
    return (remove,)


def _rest(desired: Desired, container: Container | None) -> tuple[Step, ...]:
    if container is None or container.phase not in (ContainerPhase.RUNNING, ContainerPhase.PAUSED):
        return ()
    cause = f"state is {desired.state}"
    if desired.state == "Killed":
        return (Kill(cause, container.id),)
    thaw = (Unpause(cause, container.id),) if container.phase is ContainerPhase.PAUSED else ()
    return (*thaw, Stop(cause, container.id, desired.grace_period))


def _fresh(desired: Desired, observed: Observed, removal: tuple[Step, ...], cause: str) -> Plan:
    image: tuple[Step, ...] = ()
    if desired.build is not None:
        image = (Build("the container is to be created", desired.build),)
    elif desired.pull_policy == "Always":
        image = (Pull("imagePullPolicy is Always", desired.spec.image),)
    elif not observed.image_present:
        if desired.pull_policy == "Never":
            message = f"image {desired.spec.image} is not there, and imagePullPolicy is Never"
            return Plan((*removal, Refuse(message, Reason.IMAGE_PULL_FAILED)))
        image = (Pull("it is not there", desired.spec.image),)
    if not observed.network_id:
        return Plan((*removal, *image), waiting_for_network=True)
    create = Create(cause, desired.spec, desired.spec_hash)
    start = Start(f"state is {desired.state}", None)
    pause = (Pause("state is Paused", None),) if desired.state == "Paused" else ()
    return Plan((*removal, *image, create, start, *pause))


def _start_again(
    desired: Desired, container: Container, previous: ObjectStatus, now: datetime, pause: tuple[Step, ...]
) -> Plan:
    if not will_restart(desired.restart_policy, container.exit_code):
        return Plan()
    remaining = _until_restart(container, previous, now)
    if remaining > 0:
        return Plan(requeue_after=remaining)
    cause = f"it exited with code {container.exit_code}, and restartPolicy is {desired.restart_policy}"
    return Plan((Start(cause, container.id), *pause))
