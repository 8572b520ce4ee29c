"""What an error says: what was waited for, why it cannot be, the evidence. Pure functions on messages."""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from google.protobuf.message import Message

from e2e.values import Goal
from e2e_api.errors import E2EError, WaitFailed, WaitTimeout
from e2e_api.v1 import object_pb2, wait_service_pb2

LOG_LINES = 20
_TRUE = object_pb2.CONDITION_STATUS_TRUE
_FALSE = object_pb2.CONDITION_STATUS_FALSE
_STATES_OF = {
    Goal.READY: ("Running",),
    Goal.RUNNING: ("Running",),
    Goal.STOPPED: ("Stopped", "Killed"),
    Goal.PAUSED: ("Paused",),
}
"""What a manifest may ask for when this is waited for."""


def explain_wait(
    error: E2EError,
    keys: Sequence[object_pb2.ObjectKey],
    goal: Goal,
    seconds: float,
    seen: Mapping[str, wait_service_pb2.WaitConditionsResponse],
    logs: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> E2EError:
    """The error of a wait for conditions, with all that is known put into its text.

    `seconds` is how long was waited; `seen` has the last response about each object, by its name: they
    have the full logs, for which an error's details have no room. `logs` has those of what runs.
    """
    failures = [detail for detail in error.details if isinstance(detail, wait_service_pb2.WaitFailure)]
    failed = [_fuller(found, seen) for failure in failures for found in failure.failed]
    unmet = [response.object for response in seen.values() if not response.met]
    if not failed or (isinstance(error, WaitTimeout) and len(unmet) > len(failed)):
        failed = unmet  # the details have room for a few only
    for found in failed:
        if found.key.name in logs and not found.status.container.last_log_lines:
            found.status.container.last_log_lines.extend(logs.get(found.key.name, ()))
    lines = [f"{_names(keys)} {'are' if len(keys) > 1 else 'is'} not {goal}: {outcome(error, seconds)}"]
    said = error.message.splitlines()[1:] if goal is Goal.DELETED else []
    for found in failed if not said else ():
        lines += reason_and_evidence(found, goal)
    lines += said  # what keeps it is known there alone
    if not failed or not isinstance(error, WaitFailed | WaitTimeout):
        lines.insert(1, f"  {error.message}")
    missing = [key.name for key in keys if key.name not in seen] if failed == [] and seen else []
    if missing:
        lines.append(f"  nothing was heard of {', '.join(missing)}")
    details = [wait_service_pb2.WaitFailure(failed=failed)] if failed else error.details
    return renewed(error, lines, details)


def reason_line(found: object_pb2.Object, goal: Goal) -> str:
    """One line on why an object is not as wanted: the manifest, or the condition that stands in the way."""
    if (found.deleting and goal is not Goal.DELETED) or not found.HasField("status"):
        return f"{found.key.name}: Deleted: it was deleted meanwhile"
    state = _asked_state(found)
    if state not in _STATES_OF.get(goal, (state,)):
        return f"{found.key.name}: its manifest asks for state {state}"
    condition = _decisive(found, goal)
    if condition is None:
        said = found.status.progress or found.status.summary or "the controller has said nothing of it yet"
        return f"{found.key.name}: {said}"
    if condition.status == _TRUE and condition.type != "Failed" and not _is_settled(found):
        return (
            f"{found.key.name}: its newest manifest was not acted on yet; what follows is of the one before"
        )
    said = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
    return f"{found.key.name}: {said}"


def _is_settled(found: object_pb2.Object) -> bool:
    """Whether its status is about its newest manifest."""
    return found.status.observed_generation >= found.generation


def _asked_state(found: object_pb2.Object) -> str:
    document = json.loads(found.document) if found.document else {}
    return str(document.get("spec", {}).get("state", "Running"))


def object_lines(found: object_pb2.Object, told: str = "") -> list[str]:
    """The evidence about one object: conditions, probe, container, log, each where there is one.

    What stands in the `told` line already is not said again.
    """
    status = found.status
    lines = []
    if status.conditions:
        lines.append(f"conditions: {', '.join(_condition(item, told) for item in status.conditions)}")
    if status.HasField("last_probe") and status.last_probe.request:
        lines += _probe_lines(status.last_probe, told)
    if status.HasField("container"):
        lines += _container_lines(status.container, told)
    if status.HasField("previous_container") and _tells_more(status):
        lines += _container_lines(status.previous_container, name="container before it")
    if found.source and not found.managed_by_api:
        lines.append(f"defined in {found.source}")
    return lines


def describe(objects: Iterable[object_pb2.Object]) -> str:
    """A table of an environment's objects with the evidence of those that are not ready."""
    found = sorted(objects, key=lambda item: (item.key.kind, item.key.name))
    if not found:
        return "nothing is in the environment"
    width = max(len(item.key.name) for item in found)
    lines = [f"{item.key.name:<{width}}  {item.status.summary or 'Pending'}" for item in found]
    for item in found:
        if not _holds(item, "Ready"):
            reason = reason_line(item, Goal.READY)
            lines += [reason, *(f"  {line}" for line in object_lines(item, reason))]
    return "\n".join(lines)


def reason_and_evidence(found: object_pb2.Object, goal: Goal) -> list[str]:
    """Why an object is not as wanted, and the evidence."""
    reason = reason_line(found, goal)
    first, *more = reason.splitlines()
    return [f"  {first}", *_indented([*more, *object_lines(found, reason)])]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def outcome(error: E2EError, seconds: float) -> str:
    """How the wait ended."""
    if isinstance(error, WaitTimeout):
        return f"waited {seconds:.1f} s"
    if isinstance(error, WaitFailed):
        return f"it can no longer be, known after {seconds:.1f} s"
    return f"the wait ended after {seconds:.1f} s"


def _names(keys: Sequence[object_pb2.ObjectKey]) -> str:
    environment = f" (environment {keys[0].environment})" if keys else ""
    return ", ".join(key.name for key in keys) + environment


def _fuller(
    found: object_pb2.Object, seen: Mapping[str, wait_service_pb2.WaitConditionsResponse]
) -> object_pb2.Object:
    """The streamed state where it is as new as the one of the details: it has more of the log."""
    streamed = seen.get(found.key.name)
    return streamed.object if streamed and streamed.object.version >= found.version else found


def _decisive(found: object_pb2.Object, goal: Goal) -> object_pb2.Condition | None:
    by_type = {condition.type: condition for condition in found.status.conditions}
    failed = by_type.get("Failed")
    if failed is not None and failed.status == _TRUE:
        return failed
    for kind in ("Accepted", "ImageReady"):
        if kind in by_type and by_type[kind].status == _FALSE:
            return by_type[kind]
    order = ("Running", "Ready") if goal in (Goal.READY, Goal.RUNNING) else ("Ready", "Running")
    unmet = [by_type[kind] for kind in order if kind in by_type and by_type[kind].status != _TRUE]
    return next(iter(unmet), by_type.get("Ready"))


def _condition(condition: object_pb2.Condition, told: str) -> str:
    status = {_TRUE: "True", _FALSE: "False"}.get(condition.status, "Unknown")
    is_new = condition.reason and f"{condition.reason}:" not in told
    return f"{condition.type}={status}" + (f" ({condition.reason})" if is_new else "")


def _probe_lines(probe: object_pb2.ProbeResult, told: str) -> list[str]:
    said = f"{probe.request}: {probe.answer or 'no answer yet'}"
    if said in told:
        return []
    answered = "" if not probe.answer else " succeeded" if probe.success else " failed"
    return [f"last probe{answered}: {said}" + (f" (attempt {probe.attempts})" if probe.attempts else "")]


def _container_lines(
    container: object_pb2.ContainerState, told: str = "", name: str = "container"
) -> list[str]:
    said = container.state or "not created"
    if container.HasField("exit_code") and container.state not in ("running", "paused"):
        said += f" with code {container.exit_code}" + (f" ({container.signal})" if container.signal else "")
    if container.oom_killed:
        said += ", out of memory (OOM killed)"
    if container.restart_count:
        said += f", restarted {times(container.restart_count)}"
    if container.error and container.error not in told:
        said += f"; {container.error}"
    lines = [] if said in told else [f"{name}: {said}"]
    log = container.last_log_lines[-LOG_LINES:]
    if log:
        lines += ["last log lines:", *(f"  {line}" for line in log)]
    return lines


def _tells_more(status: object_pb2.ObjectStatus) -> bool:
    """Whether the container before is evidence: there is no other, or it ended in the same way."""
    return not status.HasField("container") or (
        status.container.restart_count > 0 and not status.container.last_log_lines
    )


def _holds(found: object_pb2.Object, kind: str) -> bool:
    return any(item.type == kind and item.status == _TRUE for item in found.status.conditions)


def times(number: int) -> str:
    """As a person says it."""
    return "once" if number == 1 else f"{number} times"


def renewed(error: E2EError, lines: Iterable[str], details: Sequence[Message]) -> E2EError:
    """The error with another text."""
    return type(error)("\n".join(lines), reason=error.reason, violations=error.violations, details=details)
