"""From what is wanted, seen and tried to the status that is told. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from e2e_api.conditions import (
    Action,
    Condition,
    ConditionType,
    Reason,
    Status,
    action_for,
    set_condition,
)
from e2e_controller.drivers.base import Container, ContainerPhase
from e2e_controller.objects import Object, ObjectStatus, PastContainer, Phase, Probe, acceptance
from e2e_controller.probes import ProbeReport
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.endings import how_it_ended, lost_container
from e2e_controller.reconcile.phases import start_phases, waiting_since
from e2e_controller.reconcile.plan import is_over, restart_delay, will_restart
from e2e_controller.reconcile.steps import (
    Build,
    Create,
    Kill,
    Observed,
    Pull,
    Remove,
    Start,
    Step,
    Stop,
    Waiting,
)

_NEEDS_A_PERSON = (Reason.PORT_TAKEN, Reason.NAME_CONFLICT)
"""Tried again, since the cause may go away, but told as failures: nothing of ours will make it go."""
_PATIENCE = 5
"""Attempts after which a failure that may pass is told as one, too; it is still tried again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step could not be done."""

    reason: str
    message: str
    retry: bool

    @property
    def terminal(self) -> bool:
        """Whether waiting is in vain unless somebody does something."""
        return not self.retry or self.reason in _NEEDS_A_PERSON


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the execution of a plan went."""

    failure: Failure | None = None
    done: int = 0
    """How many steps of the plan."""
    phases: tuple[Phase, ...] = ()
    retry_at: datetime | None = None
    restarted: bool = False
    created: bool = False
    waiting: Waiting | None = None
    log_lines: tuple[str, ...] = ()
    past: PastContainer | None = None
    """What is kept of the container that was replaced, or started again."""

    @property
    def waiting_for(self) -> str:
        """The phase in which something else has to come first; empty where nothing has to."""
        if self.waiting is None or self.waiting.hopeless:
            return ""
        return "dependencies" if self.waiting.reason == Reason.WAITING_FOR_DEPENDENCIES else "network"


def workload_status(
    object_: Object,
    desired: Desired | None,
    observed: Observed,
    outcome: Outcome,
    report: ProbeReport | None,
    now: datetime,
) -> ObjectStatus:
    """The whole status of a workload or job, after its plan was executed and it was looked at again."""
    previous, container = object_.status, observed.container
    if container is None and outcome.failure is None and desired and is_over(desired, previous):
        return _still_over(object_, now)
    attempts = failed_attempts(object_, outcome.failure)
    running, failed = _running(desired, container, outcome, attempts, previous.restart_count)
    ready = _ready(desired, container, running, report)
    if failed is None and report is not None and report.timed_out and running.status is Status.TRUE:
        failed = _probe_timeout(desired, report)
    goal = _completed(running) if desired is not None and desired.is_job else ready
    wanted = [acceptance(object_), _image_ready(observed, outcome, previous), running, goal, failed]
    conditions: tuple[Condition, ...] = ()
    for condition in wanted:
        if condition is not None:
            conditions = _carry_time(previous, conditions, condition, now)
    restarts = 0 if outcome.created else previous.restart_count + outcome.restarted
    if container is not None and desired is not None and desired.is_job:
        restarts = container.attempt
    phases = start_phases(
        previous,
        outcome.phases,
        restarted=outcome.restarted,
        waiting_for=outcome.waiting_for,
        ready=ready,
        container=container,
        now=now,
    )
    return ObjectStatus(
        observed_generation=object_.generation,
        conditions=conditions,
        summary=_summary(object_, desired, running, goal, failed),
        progress=_progress(running, goal, failed),
        container=container,
        restart_count=restarts,
        failed_attempts=attempts,
        retry_at=outcome.retry_at,
        end_seen_at=_end_seen_at(previous, container, now),
        last_log_lines=outcome.log_lines,
        past=outcome.past or lost_container(previous, container) or previous.past,
        action=_action(failed, outcome.failure),
        waiting_for=outcome.waiting_for,
        waiting_since=waiting_since(previous, outcome.waiting_for, now),
        endpoints=_endpoints(desired, container),
        probe=_probe(report) or _last_probe(previous, container),
        phases=phases,
        directory=str(desired.directory) if desired else previous.directory,
        spec_hash=desired.spec_hash if desired else "",
    )


def _end_seen_at(previous: ObjectStatus, container: Container | None, now: datetime) -> datetime | None:
    if container is None or container.phase is not ContainerPhase.EXITED:
        return None
    return previous.end_seen_at if container.is_same_end(previous.container) else now


def failed_attempts(object_: Object, failure: Failure | None) -> int:
    """Attempts in a row that failed, this one included."""
    before = object_.status.failed_attempts if object_.settled else 0
    return before + 1 if failure is not None else 0


def step_status(object_: Object, step: Step, progress: str, now: datetime) -> ObjectStatus:
    """The status while a step is under way."""
    previous = object_.status
    new: list[Condition] = []
    match step:
        case Pull() | Build():
            summary = Reason.PULLING if isinstance(step, Pull) else Reason.BUILDING
            new = [Condition(ConditionType.IMAGE_READY, Status.FALSE, summary, progress)]
        case Create() | Start():
            reason = Reason.CREATING if isinstance(step, Create) else Reason.STARTING
            new = [_not_running(reason, step.cause)]
            summary = Reason.STARTING
        case Stop() | Kill():
            summary = Reason.STOPPING
        case Remove():
            summary = Reason.DELETING if object_.deleting else Reason.REPLACING
        case _:
            return replace(previous, progress=progress or step.cause)
    endpoints = previous.endpoints
    if not isinstance(step, Pull | Build):
        # What was true of the container before must not be taken for what is true after this step.
        endpoints = {}
        outdated = (
            c for c in previous.conditions if c.type in (ConditionType.READY, ConditionType.COMPLETED)
        )
        new += [Condition(c.type, Status.FALSE, summary, step.cause) for c in outdated]
    conditions = previous.conditions
    for condition in new:
        conditions = set_condition(conditions, condition, now)
    return replace(
        previous,
        conditions=conditions,
        summary=str(summary),
        progress=progress or step.cause,
        endpoints=endpoints,
    )


def _running(
    desired: Desired | None, container: Container | None, outcome: Outcome, attempts: int, restarts: int
) -> tuple[Condition, Condition | None]:
    """The `Running` condition, and `Failed` where there is no hope."""
    told = _not_running
    failure = outcome.failure
    if failure is not None:
        hopeless = failure.terminal or (attempts >= _PATIENCE and failure.reason != Reason.ENGINE_UNAVAILABLE)
        return told(failure.reason, failure.message), _failed(failure) if hopeless else None
    if desired is None:
        return told(Reason.DELETING), None
    if (waiting := outcome.waiting) is not None:
        return told(waiting.reason, waiting.message), _failed(waiting) if waiting.hopeless else None
    if container is None:
        at_rest = desired.state in ("Stopped", "Killed")
        return told(*(desired.state, "there is no container yet") if at_rest else (Reason.PENDING,)), None
    if container.phase is ContainerPhase.RUNNING:
        return Condition(ConditionType.RUNNING, Status.TRUE, Reason.STARTED), None
    if container.phase is ContainerPhase.PAUSED:
        return told(Reason.PAUSED), None
    if desired.state in ("Stopped", "Killed"):
        return told(desired.state, how_it_ended(container, asked=True)), None
    if container.phase is ContainerPhase.CREATED:
        return told(Reason.PENDING, container.error), None
    return _ended(desired, container, restarts)


def _not_running(reason: str, message: str = "") -> Condition:
    return Condition(ConditionType.RUNNING, Status.FALSE, reason, message)


def _failed(why: Failure | Waiting) -> Condition:
    return Condition(ConditionType.FAILED, Status.TRUE, why.reason, why.message)


def _ended(desired: Desired, container: Container, restarts: int) -> tuple[Condition, Condition | None]:
    """Of a container that ended by itself: as it should, to be tried again, or for good."""
    told, message = _not_running, how_it_ended(container)
    if desired.is_job and container.exit_code == 0:
        return told(Reason.SUCCEEDED, message), None
    if desired.is_job and desired.retries:
        left = desired.retries - container.attempt
        message += f"; {left} of {desired.retries} retries left"
        if left > 0:
            return told(Reason.RETRYING, message), None
    if will_restart(desired.restart_policy, container.exit_code):
        message += f"; restart {restarts + 1} comes {restart_delay(restarts):g}s after it"
        return told(Reason.RESTARTING, message), None
    reason = Reason.OOM_KILLED if container.oom_killed else Reason.EXITED
    if container.exit_code == 0:
        message += "; a workload is meant to keep running: give it a command that does"
    return told(reason, message), Condition(ConditionType.FAILED, Status.TRUE, reason, message)


def _completed(running: Condition) -> Condition:
    status = Status.TRUE if running.reason == Reason.SUCCEEDED else Status.FALSE
    return Condition(ConditionType.COMPLETED, status, running.reason, running.message)


def _still_over(object_: Object, now: datetime) -> ObjectStatus:
    """Of a job that has run to its end, when its container was removed afterwards."""
    previous = object_.status
    conditions = set_condition(previous.conditions, acceptance(object_), now)
    return replace(previous, observed_generation=object_.generation, conditions=conditions)


def _action(failed: Condition | None, failure: Failure | None) -> Action | None:
    """What helps. A failure that may pass, and did not, is the machine's."""
    if failed is None:
        return None
    return action_for(failed.reason, may_pass=failure is not None and failure.retry)


def _ready(
    desired: Desired | None, container: Container | None, running: Condition, report: ProbeReport | None
) -> Condition:
    def told(status: Status, reason: str, message: str = "") -> Condition:
        return Condition(ConditionType.READY, status, reason, message)

    if running.status is not Status.TRUE or desired is None or container is None:
        return told(Status.FALSE, running.reason, running.message)
    if desired.readiness is None:
        return told(Status.TRUE, Reason.NO_PROBE, "it runs, and has no readiness probe")
    if report is None or not report.attempts:
        return told(Status.FALSE, Reason.STARTING, "not probed yet")
    if report.ready:
        return told(Status.TRUE, Reason.PROBE_SUCCEEDED, report.answer)
    return told(Status.FALSE, Reason.PROBE_FAILED, f"{report.request}: {report.answer}")


def _probe_timeout(desired: Desired | None, report: ProbeReport) -> Condition:
    limit = desired.readiness.startup_timeout if desired and desired.readiness else 0
    asked = f"the last of {report.attempts} probes, {report.request}: {report.answer or 'no answer yet'}"
    remedy = "see its log, correct the probe, or raise readiness.startupTimeout"
    message = f"not ready within {limit:g}s of its start; {asked}; {remedy}"
    return Condition(ConditionType.FAILED, Status.TRUE, Reason.PROBE_TIMEOUT, message)


def _image_ready(observed: Observed, outcome: Outcome, previous: ObjectStatus) -> Condition:
    failure = outcome.failure
    if failure is not None and failure.reason in (Reason.IMAGE_PULL_FAILED, Reason.IMAGE_BUILD_FAILED):
        return Condition(ConditionType.IMAGE_READY, Status.FALSE, failure.reason, failure.message)
    if observed.container is not None or observed.image_present:
        return Condition(ConditionType.IMAGE_READY, Status.TRUE, Reason.PRESENT)
    known = previous.condition(ConditionType.IMAGE_READY)
    return known or Condition(ConditionType.IMAGE_READY, Status.UNKNOWN, Reason.PENDING)


def _carry_time(
    previous: ObjectStatus, so_far: tuple[Condition, ...], new: Condition, now: datetime
) -> tuple[Condition, ...]:
    old = previous.condition(new.type)
    return (*so_far, *set_condition((old,) if old else (), new, now))


def _summary(
    object_: Object, desired: Desired | None, running: Condition, goal: Condition, failed: Condition | None
) -> str:
    if object_.deleting:
        return "Deleting"
    if desired is None:
        return "Rejected"
    if failed is not None:
        return "Failed"
    if goal.type == ConditionType.COMPLETED:
        if running.status is Status.TRUE:
            return "Running"
        return "Completed" if goal.status is Status.TRUE else running.reason
    if running.status is not Status.TRUE:
        return running.reason
    if goal.status is Status.TRUE:
        return "Running" if goal.reason == Reason.NO_PROBE else "Ready"
    return "NotReady"


def _progress(running: Condition, goal: Condition, failed: Condition | None) -> str:
    if failed is not None:
        return failed.message
    return running.message if running.status is not Status.TRUE else goal.message


def _endpoints(desired: Desired | None, container: Container | None) -> dict[str, str]:
    if desired is None or container is None or container.phase is not ContainerPhase.RUNNING:
        return {}
    published = container.host_ports
    found = {
        name: published.get(f"{port.container_port}/{port.protocol}") for name, port in desired.ports.items()
    }
    return {name: f"127.0.0.1:{port}" for name, port in found.items() if port}


def _last_probe(previous: ObjectStatus, container: Container | None) -> Probe | None:
    """The last answer of a run that is over; nobody asks any more."""
    known = previous.container
    if container is None or known is None or container.phase is ContainerPhase.RUNNING:
        return None
    same = (container.id, container.started_at) == (known.id, known.started_at)
    return previous.probe if same else None


def _probe(report: ProbeReport | None) -> Probe | None:
    if report is None:
        return None
    return Probe(report.ready, report.request, report.answer, report.time, report.attempts)
