"""From desired and observed to a short list of steps, each with its cause. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from e2e_api.conditions import ConditionType, Reason
from e2e_controller.drivers.base import Container, ContainerPhase
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.live_files import live_file_steps, until_signal, writing_only
from e2e_controller.reconcile.steps import (
    Build,
    Create,
    Kill,
    Observed,
    Pause,
    Plan,
    Pull,
    Refuse,
    Remove,
    Start,
    Step,
    Stop,
    Unpause,
)

FIRST_RESTART_DELAY = 0.1
LONGEST_RESTART_DELAY = 30.0
_ALIVE = (ContainerPhase.RUNNING, ContainerPhase.PAUSED)


def make_plan(
    desired: Desired | None,
    observed: Observed,
    previous: ObjectStatus,
    now: datetime,
    removal_grace: float | None = None,
) -> Plan:
    """What has to be done for one workload or job. `removal_grace`: how long it has to end when deleted."""
    if desired is None:
        return Plan(_removal("nobody wants it", observed.container, removal_grace))
    plan = plan_job if desired.is_job else plan_workload
    return plan(desired, observed, previous, now)


def plan_workload(desired: Desired, observed: Observed, previous: ObjectStatus, now: datetime) -> Plan:
    """It runs, or rests, as its manifest asks."""
    container = observed.container
    cause = replacement_cause(desired, observed)
    if desired.state in ("Stopped", "Killed"):
        return Plan((*_rest(desired, container), *live_file_steps(desired, observed, cause)))
    if desired.lacks is not None:
        return Plan(waiting=desired.lacks)
    if container is None or cause:
        removal = _removal(cause, container, desired.removal_grace)
        return _fresh(desired, observed, previous, removal, cause or "it is not there")
    if desired.state == "Running" and (steps := live_file_steps(desired, observed, cause)):
        if later := until_signal(steps, desired, container, previous, now):
            return Plan(writing_only(steps, observed), requeue_after=later)
        starts = any(isinstance(step, Start) for step in steps)
        if starts or container.phase is not ContainerPhase.EXITED:
            return Plan(steps)
        again = _start_again(desired, observed, previous, now, ())
        return replace(again, steps=(*steps, *again.steps))
    pause = (Pause("state is Paused", container.id),) if desired.state == "Paused" else ()
    if container.phase is ContainerPhase.RUNNING:
        return Plan(pause)
    if container.phase is ContainerPhase.PAUSED:
        return Plan(() if pause else (Unpause("state is Running", container.id),))
    return _start_again(desired, observed, previous, now, pause)


def plan_job(desired: Desired, observed: Observed, previous: ObjectStatus, now: datetime) -> Plan:
    """It runs to its end, and again if that was none that it should have; once it is over nothing is done."""
    container = observed.container
    if desired.lacks is not None:
        return Plan(waiting=desired.lacks)
    if container is None:
        if observed.end is not None or is_over(desired, previous):
            return Plan()
        return _fresh(desired, observed, previous, (), "it is not there", observed.attempt)
    if container.spec_hash == desired.spec_hash and container.phase is ContainerPhase.EXITED:
        return _after_attempt(desired, observed, previous, now)
    cause = replacement_cause(desired, observed)
    if not cause:
        thaw = container.phase is ContainerPhase.PAUSED
        return Plan((Unpause("a job is not paused", container.id),) if thaw else ())
    attempt = container.attempt if container.spec_hash == desired.spec_hash else 0
    removal = _removal(cause, container, desired.removal_grace)
    return _fresh(desired, observed, previous, removal, cause, attempt)


def is_over(desired: Desired, previous: ObjectStatus) -> bool:
    """Whether the job is known to have run to its end as it is wanted, though nothing is left of it."""
    failed = previous.condition(ConditionType.FAILED)
    by_itself = failed is not None and failed.reason in (Reason.EXITED, Reason.OOM_KILLED)
    over = previous.is_true(ConditionType.COMPLETED) or by_itself
    return desired.is_job and over and previous.spec_hash == desired.spec_hash


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


def may_create(desired: Desired, observed: Observed) -> bool:
    """Whether a plan may make a new container, for which more has to be looked up."""
    container = observed.container
    if container is None or replacement_cause(desired, observed):
        return True
    return desired.is_job and container.phase is ContainerPhase.EXITED and container.exit_code != 0


def restart_delay(restarts: int) -> float:
    """Seconds between an exit and the next start."""
    return float(min(FIRST_RESTART_DELAY * 2 ** min(restarts, 20), LONGEST_RESTART_DELAY))


def will_restart(restart_policy: str, exit_code: int | None) -> bool:
    """Whether an exited container is started again."""
    return restart_policy == "Always" or (restart_policy == "OnFailure" and exit_code != 0)


def _until_due(delay: float, container: Container, previous: ObjectStatus, now: datetime) -> float:
    """What is left of a delay since the end was first seen: the engine's clock may be another than ours.

    Where ours was set back since, it is due: no delay may become longer than it is.
    """
    if previous.end_seen_at is None or not container.is_same_end(previous.container):
        return delay
    since = (now - previous.end_seen_at).total_seconds()
    return delay - since if since >= 0 else 0.0


def _removal(cause: str, container: Container | None, grace: float | None) -> tuple[Step, ...]:
    if container is None:
        return ()
    remove = Remove(cause, container.id)
    if grace is not None and container.phase is ContainerPhase.RUNNING:
        return (Stop(cause, container.id, grace), remove)
    return (remove,)


def _rest(desired: Desired, container: Container | None) -> tuple[Step, ...]:
    if container is None or container.phase not in (ContainerPhase.RUNNING, ContainerPhase.PAUSED):
        return ()
    cause = f"state is {desired.state}"
    if desired.state == "Killed":
        return (Kill(cause, container.id),)
    thaw = (Unpause(cause, container.id),) if container.phase is ContainerPhase.PAUSED else ()
    return (*thaw, Stop(cause, container.id, desired.grace_period))


def _fresh(
    desired: Desired,
    observed: Observed,
    previous: ObjectStatus,
    removal: tuple[Step, ...],
    cause: str,
    attempt: int = 0,
) -> Plan:
    """A new container; what takes long and needs nobody is done before what has to be waited for."""
    waiting = observed.waiting or (None if observed.network_id else observed.network_waiting)
    if waiting is not None and waiting.hopeless:
        return Plan(waiting=waiting)
    image: tuple[Step, ...] = ()
    if desired.build is not None:
        image = (Build(cause, desired.build),)
    elif desired.pull_policy == "Always":
        image = (Pull("imagePullPolicy is Always", desired.spec.image),)
    elif not observed.image_present:
        if desired.pull_policy == "Never":
            message = (
                f"image {desired.spec.image} is not there, and imagePullPolicy is Never; "
                "build, load or pull it by hand, or allow to pull it"
            )
            return Plan((*removal, Refuse(message, Reason.IMAGE_PULL_FAILED)))
        image = (Pull("it is not there", desired.spec.image),)
    if waiting is not None:
        # What every creation begins with would be done twice: now, and when nothing is waited for.
        every_time = desired.build is not None or desired.pull_policy == "Always"
        return Plan((*removal, *(() if every_time else image)), waiting=waiting)
    spec = replace(desired.spec, attempt=attempt, kept_ports=_ports_before(observed, previous))
    create = Create(cause, spec, desired.spec_hash)
    start = Start("it is to run once" if desired.is_job else f"state is {desired.state}", None)
    pause = (Pause("state is Paused", None),) if desired.state == "Paused" else ()
    return Plan((*removal, *image, create, start, *pause))


def _ports_before(observed: Observed, previous: ObjectStatus) -> Mapping[str, int]:
    """The host ports of the container before, unless it may be them that kept it from starting."""
    past = previous.past.container if previous.past else None
    container = observed.container or previous.container or past
    return container.host_ports if container is not None and container.started_at is not None else {}


def _start_again(
    desired: Desired, observed: Observed, previous: ObjectStatus, now: datetime, pause: tuple[Step, ...]
) -> Plan:
    container = observed.container
    assert container is not None  # noqa: S101 - the caller has looked  # nosec B101
    if observed.rested:
        return Plan((Start(f"state is {desired.state} again", container.id), *pause))
    if not will_restart(desired.restart_policy, container.exit_code):
        return Plan()
    delay = restart_delay(0 if _ran_long(container) else previous.restart_count)
    left = _until_due(delay, container, previous, now)
    if left > 0:
        return Plan(requeue_after=left)
    cause = f"it exited with code {container.exit_code}, and restartPolicy is {desired.restart_policy}"
    return Plan((Start(cause, container.id, is_restart=True), *pause))


def _ran_long(container: Container) -> bool:
    """Whether its end is no sequel to the one before."""
    if container.started_at is None or container.finished_at is None:
        return False
    return (container.finished_at - container.started_at).total_seconds() > 2 * LONGEST_RESTART_DELAY


def _after_attempt(desired: Desired, observed: Observed, previous: ObjectStatus, now: datetime) -> Plan:
    container = observed.container
    assert container is not None  # noqa: S101 - the caller has looked  # nosec B101
    if container.exit_code == 0 or container.attempt >= desired.retries:
        return Plan()
    left = _until_due(restart_delay(container.attempt), container, previous, now)
    if left > 0:
        return Plan(requeue_after=left)
    if not observed.network_id:
        return Plan(waiting=observed.network_waiting)  # what is there tells how often it was tried
    cause = f"it exited with code {container.exit_code}; retry {container.attempt + 1} of {desired.retries}"
    observed = replace(observed, waiting=None)  # what it depends on was there for the first attempt
    return _fresh(desired, observed, previous, (Remove(cause, container.id),), cause, container.attempt + 1)
