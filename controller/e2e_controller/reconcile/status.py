"""From what is wanted, seen and tried to the status that is told. Pure."""

import contextlib
import signal
from dataclasses import dataclass, replace
from datetime import datetime

from e2e_api.conditions import Condition, ConditionType, Reason, Status, set_condition
from e2e_controller.drivers.base import Container, ContainerPhase
from e2e_controller.objects import Object, ObjectStatus, Phase, Probe, acceptance
from e2e_controller.probes import ProbeReport
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.plan import (
    Build,
    Create,
    Observed,
    Pull,
    Remove,
    Start,
    Step,
    Stop,
    will_restart,
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
    phases: tuple[Phase, ...] = ()
    retry_at: datetime | None = None
    restarted: bool = False
    created: bool = False
    waiting_for_network: bool = False
    log_lines: tuple[str, ...] = ()


def workload_status(
    object_: Object,
    desired: Desired | None,
    observed: Observed,
    outcome: Outcome,
    report: ProbeReport | None,
    now: datetime,
) -> ObjectStatus:
    """The whole status of a workload, after its plan was executed and it was looked at again."""
    previous, container = object_.status, observed.container
    attempts = failed_attempts(object_, outcome.failure)
    running, failed = _running(desired, container, outcome, attempts)
    ready = _ready(desired, container, running, report)
    if failed is None and report is not None and report.timed_out and running.status is Status.TRUE:
        failed = _probe_timeout(desired, report)
    wanted = [acceptance(object_), _image_ready(observed, outcome, previous), running, ready, failed]
    conditions: tuple[Condition, ...] = ()
    for condition in wanted:
        if condition is not None:
            conditions = _carry_time(previous, conditions, condition, now)
    restarts = 0 if outcome.created else previous.restart_count + outcome.restarted
    phases = _phases(previous, outcome, ready, container, now)
    return ObjectStatus(
        observed_generation=object_.generation,
        conditions=conditions,
        summary=_summary(object_, desired, running, ready, failed),
        progress=_progress(running, ready, failed),
        container=container,
        restart_count=restarts,
        failed_attempts=attempts,
        retry_at=outcome.retry_at,
        end_seen_at=_end_seen_at(previous, container, now),
        last_log_lines=outcome.log_lines,
        endpoints=_endpoints(desired, container),
        probe=_probe(report),
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
    conditions = previous.conditions
    match step:
        case Pull() | Build():
            reason = Reason.PULLING if isinstance(step, Pull) else Reason.BUILDING
            image = Condition(ConditionType.IMAGE_READY, Status.FALSE, reason, progress)
            conditions = set_condition(conditions, image, now)
            summary = str(reason)
        case Create() | Start():
            reason = Reason.CREATING if isinstance(step, Create) else Reason.STARTING
            running = Condition(ConditionType.RUNNING, Status.FALSE, reason, step.cause)
            conditions = set_condition(conditions, running, now)
            summary = "Starting"
        case Stop():
            summary = "Stopping"
        case Remove():
            summary = "Deleting" if object_.deleting else "Replacing"
        case _:
            summary = previous.summary
    # Whatever was true of another generation must not be taken for this one's.
    return replace(previous, conditions=conditions, summary=summary, progress=progress or step.cause)


def _running(
    desired: Desired | None, container: Container | None, outcome: Outcome, attempts: int
) -> tuple[Condition, Condition | None]:
    """The `Running` condition, and `Failed` where there is no hope."""

    def told(reason: str, message: str = "", status: Status = Status.FALSE) -> Condition:
        return Condition(ConditionType.RUNNING, status, reason, message)

    failure = outcome.failure
    if failure is not None:
        failed = Condition(ConditionType.FAILED, Status.TRUE, failure.reason, failure.message)
        hopeless = failure.terminal or (attempts >= _PATIENCE and failure.reason != Reason.ENGINE_UNAVAILABLE)
        return told(failure.reason, failure.message), failed if hopeless else None
    if desired is None:
        return told(Reason.DELETING), None
    if container is None:
        if desired.state in ("Stopped", "Killed"):
            return told(desired.state, "there is no container yet"), None
        waiting = "waits for the environment's network" if outcome.waiting_for_network else ""
        return told(Reason.PENDING, waiting), None
    if container.phase is ContainerPhase.RUNNING:
        return told(Reason.STARTED, status=Status.TRUE), None
    if container.phase is ContainerPhase.PAUSED:
        return told(Reason.PAUSED), None
    if desired.state in ("Stopped", "Killed"):
        return told(desired.state, _how_it_ended(container)), None
    if container.phase is ContainerPhase.CREATED:
        return told(Reason.PENDING, container.error), None
    message = _how_it_ended(container)
    if will_restart(desired.restart_policy, container.exit_code):
        return told(Reason.RESTARTING, message), None
    reason = Reason.OOM_KILLED if container.oom_killed else Reason.EXITED
    return told(reason, message), Condition(ConditionType.FAILED, Status.TRUE, reason, message)


def _how_it_ended(container: Container) -> str:
    code = container.exit_code
    text = f"exited with code {code}"
    if code is not None and code > 128:
        with contextlib.suppress(ValueError):
            text += f" ({signal.Signals(code - 128).name})"
    if container.started_at and container.finished_at:
        text += f" after {(container.finished_at - container.started_at).total_seconds():.1f}s"
    if container.oom_killed:
        text += "; it ran out of memory: raise resources.memory"
    if container.error:
        text += f"; {container.error}"
    return text


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
    message = f"not ready within {limit:g}s of its start; the last probe, {report.request}: {report.answer}"
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
    object_: Object, desired: Desired | None, running: Condition, ready: Condition, failed: Condition | None
) -> str:
    if object_.deleting:
        return "Deleting"
    if desired is None:
        return "Rejected"
    if failed is not None:
        return "Failed"
    if running.status is not Status.TRUE:
        return running.reason
    if ready.status is Status.TRUE:
        return "Running" if ready.reason == Reason.NO_PROBE else "Ready"
    return "NotReady"


def _progress(running: Condition, ready: Condition, failed: Condition | None) -> str:
    if failed is not None:
        return failed.message
    return running.message if running.status is not Status.TRUE else ready.message


def _endpoints(desired: Desired | None, container: Container | None) -> dict[str, str]:
    if desired is None or container is None or container.phase is not ContainerPhase.RUNNING:
        return {}
    published = container.host_ports
    found = {
        name: published.get(f"{port.container_port}/{port.protocol}") for name, port in desired.ports.items()
    }
    return {name: f"127.0.0.1:{port}" for name, port in found.items() if port}


def _probe(report: ProbeReport | None) -> Probe | None:
    if report is None:
        return None
    return Probe(report.ready, report.request, report.answer, report.time, report.attempts)


def _phases(
    previous: ObjectStatus, outcome: Outcome, ready: Condition, container: Container | None, now: datetime
) -> tuple[Phase, ...]:
    # The image may have been got before, while there was no network yet.
    preparing = all(phase.name in ("pull", "build") for phase in previous.phases)
    anew = (outcome.created or outcome.restarted) and not preparing
    phases = outcome.phases if anew else (*previous.phases, *outcome.phases)
    probed = ready.reason == Reason.NO_PROBE or any(phase.name == "probe" for phase in phases)
    if ready.status is Status.TRUE and not probed and container is not None and container.started_at:
        began = container.started_at
        phases = (*phases, Phase("probe", began, max(0.0, (now - began).total_seconds())))
    return phases[-20:]
