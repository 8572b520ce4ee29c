"""The conditions of a workload or job, each from what is wanted, seen and tried. Pure."""

from dataclasses import replace

from e2e_api.conditions import Condition, ConditionType, Reason, Status
from e2e_api.manifests import Readiness
from e2e_controller.drivers.base import Container, ContainerPhase, Health
from e2e_controller.objects import ObjectStatus
from e2e_controller.probes import ProbeReport
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.endings import how_it_ended
from e2e_controller.reconcile.outcome import Failure, Outcome
from e2e_controller.reconcile.plan import restart_delay, will_restart
from e2e_controller.reconcile.steps import JobEnd, Observed, Waiting


def running_and_failed(
    desired: Desired | None, container: Container | None, outcome: Outcome, restarts: int, *, hopeless: bool
) -> tuple[Condition, Condition | None]:
    """The `Running` condition, and `Failed` where there is no hope. `hopeless`: the failure is."""
    told = not_running
    failure = outcome.failure
    if failure is not None:
        return told(failure.reason, failure.message), _failed(failure) if hopeless else None
    if desired is None:
        return told(Reason.DELETING), None
    if (waiting := outcome.waiting) is not None:
        return _waiting(waiting, container)
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


def _waiting(waiting: Waiting, container: Container | None) -> tuple[Condition, Condition | None]:
    """Where the new one will never be, the one of before goes on."""
    failed = _failed(waiting) if waiting.hopeless else None
    if container is not None and container.phase is ContainerPhase.RUNNING:
        message = f"as an earlier manifest asks; {waiting.message}"
        return Condition(ConditionType.RUNNING, Status.TRUE, Reason.STARTED, message), failed
    return not_running(waiting.reason, waiting.message), failed


def not_running(reason: str, message: str = "") -> Condition:
    """`Running` of what does not."""
    return Condition(ConditionType.RUNNING, Status.FALSE, reason, message)


def _failed(why: Failure | Waiting) -> Condition:
    return Condition(ConditionType.FAILED, Status.TRUE, why.reason, why.message)


def _ended(desired: Desired, container: Container, restarts: int) -> tuple[Condition, Condition | None]:
    """Of a container that ended by itself: as it should, to be tried again, or for good."""
    told, message = not_running, how_it_ended(container)
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


def ended_before(end: JobEnd) -> tuple[Condition, Condition | None]:
    """Of a job whose container was removed after its end: nothing but a note tells of it."""
    running = not_running(end.reason, end.message)
    succeeded = end.reason == Reason.SUCCEEDED
    return running, None if succeeded else replace(running, type=ConditionType.FAILED, status=Status.TRUE)


def completed_condition(running: Condition) -> Condition:
    """`Completed` of a job."""
    status = Status.TRUE if running.reason == Reason.SUCCEEDED else Status.FALSE
    return Condition(ConditionType.COMPLETED, status, running.reason, running.message)


def ready_condition(
    desired: Desired | None, container: Container | None, running: Condition, report: ProbeReport | None
) -> Condition:
    """`Ready`: what its probe says, where it has one and runs."""

    def told(status: Status, reason: str, message: str = "") -> Condition:
        return Condition(ConditionType.READY, status, reason, message)

    if running.status is not Status.TRUE or desired is None or container is None:
        return told(Status.FALSE, running.reason, running.message)
    if desired.lacks is not None:
        return told(Status.FALSE, desired.lacks.reason, desired.lacks.message)
    if desired.readiness is None:
        return told(Status.TRUE, Reason.NO_PROBE, "it runs, and has no readiness probe")
    if report is None or not report.attempts:
        return told(Status.FALSE, Reason.STARTING, "not probed yet")
    if report.ready:
        return told(Status.TRUE, Reason.PROBE_SUCCEEDED, _why_still_ready(desired.readiness, report))
    return told(Status.FALSE, Reason.PROBE_FAILED, f"{report.request}: {report.answer}")


def _why_still_ready(readiness: Readiness, report: ProbeReport) -> str:
    if report.succeeded:
        return report.answer
    failed = f"{report.consecutive_failures} of {readiness.failure_threshold} failures that end it"
    return f"still so after {failed}, the last: {report.answer}"


def no_healthcheck(desired: Desired | None, container: Container | None) -> Condition | None:
    """`Failed` of what runs, and whose image has no word on its health and never will."""
    readiness = desired.readiness if desired else None
    if readiness is None or readiness.healthcheck is None or container is None:
        return None
    if container.phase is not ContainerPhase.RUNNING or container.health is not Health.NONE:
        return None
    message = (
        f"image {container.image} has no HEALTHCHECK: take another probe for readiness, or another image"
    )
    return Condition(ConditionType.FAILED, Status.TRUE, Reason.NO_HEALTHCHECK, message)


def probe_timeout(desired: Desired | None, report: ProbeReport) -> Condition:
    """`Failed` of what runs, and was not ready in time."""
    limit = desired.readiness.startup_timeout if desired and desired.readiness else 0
    asked = f"{report.request}: {report.answer or 'no answer yet'}"
    if report.attempts > 1:
        asked = f"the last of {report.attempts} probes, {asked}"
    remedy = "see its log, correct the probe, or raise readiness.startupTimeout"
    message = f"not ready within {limit:g}s of its start; {asked}; {remedy}"
    return Condition(ConditionType.FAILED, Status.TRUE, Reason.PROBE_TIMEOUT, message)


def image_ready_condition(observed: Observed, outcome: Outcome, previous: ObjectStatus) -> Condition:
    """`ImageReady`; as it was where nothing is known."""
    failure = outcome.failure
    if failure is not None and failure.reason in (Reason.IMAGE_PULL_FAILED, Reason.IMAGE_BUILD_FAILED):
        return Condition(ConditionType.IMAGE_READY, Status.FALSE, failure.reason, failure.message)
    if observed.container is not None or observed.image_present:
        return Condition(ConditionType.IMAGE_READY, Status.TRUE, Reason.PRESENT)
    known = previous.condition(ConditionType.IMAGE_READY)
    return known or Condition(ConditionType.IMAGE_READY, Status.UNKNOWN, Reason.PENDING)
