"""Conditions: typed, timestamped facts about an object, as in Kubernetes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal


class ConditionType(StrEnum):
    """What a condition is about."""

    ACCEPTED = "Accepted"
    IMAGE_READY = "ImageReady"
    RUNNING = "Running"
    READY = "Ready"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Status(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a condition is as it is; one CamelCase word for machines."""

    # Accepted
    VALID = "Valid"
    REJECTED = "Rejected"  # the manifest is invalid
    PARSE_ERROR = "ParseError"  # the file is no YAML, or may still be being written
    READ_ERROR = "ReadError"  # the file cannot be read
    CONFLICT = "Conflict"  # another file defines this object already
    POLICY_DENIED = "PolicyDenied"  # the policy does not allow it
    # ImageReady
    PRESENT = "Present"
    PULLING = "Pulling"
    BUILDING = "Building"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    IMAGE_BUILD_FAILED = "ImageBuildFailed"
    # Running, Ready, Completed
    PENDING = "Pending"
    CREATING = "Creating"
    STARTING = "Starting"
    STARTED = "Started"
    PROBE_SUCCEEDED = "ProbeSucceeded"
    PROBE_FAILED = "ProbeFailed"
    NO_PROBE = "NoProbe"
    STOPPED = "Stopped"
    KILLED = "Killed"
    PAUSED = "Paused"
    RESTARTING = "Restarting"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    WAITING_FOR_DEPENDENCIES = "WaitingForDependencies"
    STOPPING = "Stopping"
    REPLACING = "Replacing"
    DELETING = "Deleting"
    NETWORK_READY = "NetworkReady"
    # Failed
    CREATE_FAILED = "CreateFailed"
    START_FAILED = "StartFailed"
    PORT_TAKEN = "PortTaken"
    PORT_RACE = "PortRace"  # the port that was chosen was taken meanwhile; the next attempt takes another
    NAME_CONFLICT = "NameConflict"
    MOUNT_FAILED = "MountFailed"
    EXITED = "Exited"
    OOM_KILLED = "OOMKilled"
    PROBE_TIMEOUT = "ProbeTimeout"
    NO_HEALTHCHECK = "NoHealthcheck"
    DEPENDENCY_FAILED = "DependencyFailed"
    DEPENDENCY_CYCLE = "DependencyCycle"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # nosec B105
    SECRET_DENIED = "SecretDenied"  # noqa: S105 - it is not where secrets may be, or cannot be one  # nosec B105
    ENGINE_UNAVAILABLE = "EngineUnavailable"
    ENGINE_ERROR = "EngineError"
    INTERNAL_ERROR = "InternalError"


Action = Literal["retry", "fix-manifest", "fix-machine", "see-evidence"]
"""What helps against a failure: trying again, another manifest (or call), something done to the machine (its
engine, disk, network, ports), or nothing that is known before somebody has read the evidence."""

_FIX_MANIFEST = frozenset(
    {
        *("Rejected", "ParseError", "ReadError", "Conflict", "CreateFailed", "StartFailed", "MountFailed"),
        *("ImagePullFailed", "ImageBuildFailed", "OOMKilled", "NotAsked", "DependencyCycle"),
        *("NoHealthcheck", "PolicyDenied", "SecretNotFound", "SecretDenied"),
    }
)
_FIX_MACHINE = frozenset(
    {"PortTaken", "NameConflict", "EngineUnavailable", "EngineError", "DirectoryFailed", "StateFolder"}
)


def action_for(reason: str, *, may_pass: bool = False) -> Action:
    """What helps against a failure with that reason.

    `may_pass`: its cause is none of the manifest's, such as a registry that does not answer.
    """
    if reason in _FIX_MACHINE or (may_pass and reason in _FIX_MANIFEST):
        return "fix-machine"
    return "fix-manifest" if reason in _FIX_MANIFEST else "see-evidence"


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact. `last_transition_time` is when `status` last changed."""

    type: ConditionType
    status: Status
    reason: str
    message: str = ""
    last_transition_time: datetime | None = None


def find_condition(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """The condition of that type, or None."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: ConditionType) -> bool:
    """Whether the condition of that type is there and true."""
    found = find_condition(conditions, type_)
    return found is not None and found.status is Status.TRUE


def set_condition(conditions: Iterable[Condition], new: Condition, now: datetime) -> tuple[Condition, ...]:
    """Replaces or adds one condition; the transition time is kept while the status stays the same."""
    conditions = tuple(conditions)
    old = find_condition(conditions, new.type)
    unchanged = old is not None and old.status is new.status and old.last_transition_time is not None
    time = old.last_transition_time if old is not None and unchanged else now
    new = replace(new, last_transition_time=time)
    if old is None:
        return (*conditions, new)
    return tuple(new if condition.type == new.type else condition for condition in conditions)
