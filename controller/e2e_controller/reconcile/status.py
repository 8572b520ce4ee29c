"""From what is wanted, seen and tried to the status that is told. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from e2e_api.addresses import host_and_port
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
from e2e_controller.objects import Object, ObjectStatus, Probe, acceptance
from e2e_controller.probes import ProbeReport
from e2e_controller.reconcile.conditions import (
    completed_condition,
    ended_before,
    image_ready_condition,
    no_healthcheck,
    not_running,
    probe_timeout,
    ready_condition,
    running_and_failed,
)
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.endings import lost_container
from e2e_controller.reconcile.outcome import Failure, Outcome
from e2e_controller.reconcile.patience import Failing, failing
from e2e_controller.reconcile.phases import start_phases, waiting_since
from e2e_controller.reconcile.plan import is_over
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
)


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
    trouble = failing(object_, outcome.failure, now)
    running, goal, failed = _conditions(object_, desired, observed, outcome, report, trouble)
    accepted = acceptance(object_, observed.cycle)
    wanted = [accepted, image_ready_condition(observed, outcome, previous), running, goal, failed]
    phases = start_phases(
        previous,
        outcome.phases,
        restarted=outcome.started_again,
        waiting_for=outcome.waiting_for,
        goal=goal,
        container=container,
        now=now,
    )
    return ObjectStatus(
        observed_generation=object_.generation,
        conditions=_with_times(previous, wanted, now),
        summary=_summary(object_, desired, running, goal, failed),
        progress=_progress(running, goal, failed),
        container=container,
        restart_count=_restart_count(previous, desired, observed, outcome),
        failed_attempts=trouble.attempts,
        failing_since=trouble.since,
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


def _conditions(
    object_: Object,
    desired: Desired | None,
    observed: Observed,
    outcome: Outcome,
    report: ProbeReport | None,
    trouble: Failing,
) -> tuple[Condition, Condition, Condition | None]:
    """Whether it runs; whether it is ready or has completed; and why it has failed, if it has."""
    container = observed.container
    if container is None and outcome.failure is None and observed.end is not None:
        running, failed = ended_before(observed.end)
    else:
        running, failed = running_and_failed(
            desired, container, outcome, object_.status.restart_count, hopeless=trouble.hopeless
        )
    failed = failed or no_healthcheck(desired, container)
    ready = ready_condition(desired, container, running, report)
    if failed is None and report is not None and report.timed_out and running.status is Status.TRUE:
        failed = probe_timeout(desired, report)
    goal = completed_condition(running) if desired is not None and desired.is_job else ready
    return running, goal, failed


def unfinished(status: ObjectStatus) -> ObjectStatus:
    """Of what is not done with yet: what was found in between is no failure."""
    running = status.condition(ConditionType.RUNNING)
    if running is None or status.condition(ConditionType.FAILED) is None:
        return status
    conditions = tuple(c for c in status.conditions if c.type != ConditionType.FAILED)
    return replace(
        status, conditions=conditions, summary=running.reason, progress=running.message, action=None
    )


def _end_seen_at(previous: ObjectStatus, container: Container | None, now: datetime) -> datetime | None:
    if container is None or container.phase is not ContainerPhase.EXITED:
        return None
    return previous.end_seen_at if container.is_same_end(previous.container) else now


def step_status(object_: Object, step: Step, progress: str, now: datetime) -> ObjectStatus:
    """The status while a step is under way."""
    previous, cause = object_.status, step.cause
    new: list[Condition] = []
    match step:
        case Pull() | Build():
            summary = Reason.PULLING if isinstance(step, Pull) else Reason.BUILDING
            new = [Condition(ConditionType.IMAGE_READY, Status.FALSE, summary, progress or str(step))]
        case Create() | Start():
            reason = Reason.CREATING if isinstance(step, Create) else Reason.STARTING
            new = [not_running(reason, step.cause)]
            summary = Reason.STARTING
        case Stop(grace=grace):
            summary = Reason.STOPPING
            cause += f"; it has {grace:g}s to end, then it is killed"
        case Kill():
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
        new += [Condition(c.type, Status.FALSE, summary, cause) for c in outdated]
    conditions = previous.conditions
    for condition in new:
        conditions = set_condition(conditions, condition, now)
    return replace(
        previous,
        conditions=conditions,
        summary=str(summary),
        progress=progress or cause,
        endpoints=endpoints,
    )


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


def _with_times(
    previous: ObjectStatus, wanted: Iterable[Condition | None], now: datetime
) -> tuple[Condition, ...]:
    """The conditions that there are; one whose status stays keeps its time."""
    conditions: tuple[Condition, ...] = ()
    for new in wanted:
        if new is not None:
            old = previous.condition(new.type)
            conditions = (*conditions, *set_condition((old,) if old else (), new, now))
    return conditions


def _restart_count(
    previous: ObjectStatus, desired: Desired | None, observed: Observed, outcome: Outcome
) -> int:
    container = observed.container
    if container is None and observed.end is not None:
        return observed.end.attempt
    if container is not None and desired is not None and desired.is_job:
        return container.attempt
    return 0 if outcome.created else previous.restart_count + outcome.restarted


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
    published = container.host_ports if container.host_address else {}
    found = {
        name: published.get(f"{port.container_port}/{port.protocol}") for name, port in desired.ports.items()
    }
    return {name: host_and_port(container.host_address, port) for name, port in found.items() if port}


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
    return Probe(report.succeeded, report.request, report.answer, report.time, report.attempts)
