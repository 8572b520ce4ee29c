"""From our values to the messages of the contract. Secrets are masked as `secrets` says."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from e2e_api.conditions import Condition, Status
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import DNS_LABEL, ContainerFields, to_document
from e2e_api.v1 import event_service_pb2, object_pb2
from e2e_controller.drivers.base import Container, Key
from e2e_controller.events import Event
from e2e_controller.masking import Mask, masked_manifest
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, FILE, WORKLOAD, Object, Phase, Probe
from e2e_controller.reconcile.endings import signal_name

_STATUS = {
    Status.TRUE: object_pb2.CONDITION_STATUS_TRUE,
    Status.FALSE: object_pb2.CONDITION_STATUS_FALSE,
    Status.UNKNOWN: object_pb2.CONDITION_STATUS_UNKNOWN,
}


def key_from_proto(key: object_pb2.ObjectKey) -> Key:
    """Raises `InvalidArgument` where a part is missing or no name."""
    kind = key.kind or WORKLOAD
    if kind not in (*CONTAINER_KINDS, ENVIRONMENT, FILE):
        raise InvalidArgument(f"key.kind: expected Workload, Job or Environment, not {kind[:40]!r}")
    environment = key.environment or (key.name if kind == ENVIRONMENT else "")
    name = key.name or (environment if kind == ENVIRONMENT else "")
    for field, value in (("environment", environment), ("name", name)):
        if not value or (kind != FILE and not re.fullmatch(DNS_LABEL, value)):
            raise InvalidArgument(f"key.{field}: expected a lowercase DNS label, not {value[:80]!r}")
    return Key(environment, kind, name)


def environment_from_proto(environment: str) -> str:
    """A name, or empty for the default. Raises `InvalidArgument`: it becomes part of paths."""
    if environment and not re.fullmatch(DNS_LABEL, environment):
        raise InvalidArgument(f"environment: expected a lowercase DNS label, not {environment[:80]!r}")
    return environment


def key_to_proto(key: Key) -> object_pb2.ObjectKey:
    """The key as a message."""
    return object_pb2.ObjectKey(environment=key.environment, kind=key.kind, name=key.name)


def object_to_proto(object_: Object, known: Mask | None = None) -> object_pb2.Object:
    """The object as a message, secrets masked; `known` hides those that its manifest does not have."""
    message = object_pb2.Object(
        key=key_to_proto(object_.key),
        generation=object_.generation,
        version=object_.version,
        source=str(object_.source or ""),
        managed_by_api=object_.managed,
        document=json.dumps(masked_document(object_, known)) if object_.manifest else "",
        labels=dict(object_.labels),
        deleting=object_.deleting,
    )
    _fill_status(message.status, object_)
    return message


def masked_document(object_: Object, known: Mask | None = None) -> dict[str, Any]:
    """The manifest as it would be written, secrets masked."""
    document = to_document(object_.manifest) if object_.manifest else {}
    return masked_manifest(document, known)


def event_to_proto(event: Event) -> event_service_pb2.Event:
    """The event as a message."""
    types = event_service_pb2.EVENT_TYPE_NORMAL, event_service_pb2.EVENT_TYPE_WARNING
    return event_service_pb2.Event(
        key=key_to_proto(event.key),
        type=types[event.warning],
        reason=event.reason,
        message=event.message,
        first_time=timestamp(event.first_time),
        last_time=timestamp(event.last_time),
        count=event.count,
    )


def timestamp(time: datetime | None) -> Timestamp | None:
    """The time as a message; None stays None."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def _fill_status(message: object_pb2.ObjectStatus, object_: Object) -> None:
    status = object_.status
    message.observed_generation = status.observed_generation
    message.conditions.extend(_condition(condition) for condition in status.conditions)
    message.summary = "Rejected" if object_.rejection and object_.manifest is None else status.summary
    message.progress = status.progress
    message.directory = status.directory
    message.spec_hash = status.spec_hash
    message.endpoints.extend(_endpoints(object_, status.endpoints))
    message.phases.extend(_phase(phase) for phase in status.phases)
    message.action = status.action or ""
    if status.container is not None:
        container = _container(status.container, status.restart_count, status.last_log_lines)
        message.container.CopyFrom(container)
    if status.past is not None:
        past = status.past
        message.previous_container.CopyFrom(_container(past.container, past.restart_count, past.log_lines))
    if status.probe is not None:
        message.last_probe.CopyFrom(_probe(status.probe))


def _condition(condition: Condition) -> object_pb2.Condition:
    return object_pb2.Condition(
        type=condition.type,
        status=_STATUS[condition.status],
        reason=condition.reason,
        message=condition.message,
        last_transition_time=timestamp(condition.last_transition_time),
    )


def _endpoints(object_: Object, external: Mapping[str, str]) -> list[object_pb2.Endpoint]:
    spec = object_.manifest.spec if object_.manifest else None
    if not isinstance(spec, ContainerFields):
        return []
    return [
        object_pb2.Endpoint(
            port=name,
            internal=f"{object_.key.name}:{port.container_port}",
            external=external.get(name, ""),
            protocol=port.protocol,
        )
        for name, port in spec.ports.items()
    ]


def _phase(phase: Phase) -> object_pb2.Phase:
    message = object_pb2.Phase(name=phase.name, started_at=timestamp(phase.started_at))
    message.duration.FromNanoseconds(int(phase.duration * 1e9))
    return message


def _container(
    container: Container, restart_count: int, log_lines: Iterable[str]
) -> object_pb2.ContainerState:
    return object_pb2.ContainerState(
        id=container.id,
        image=container.image,
        state=container.phase,
        exit_code=container.exit_code,
        oom_killed=container.oom_killed,
        started_at=timestamp(container.started_at),
        finished_at=timestamp(container.finished_at),
        signal=signal_name(container.exit_code),
        error=container.error,
        restart_count=restart_count,
        last_log_lines=log_lines,
    )


def _probe(probe: Probe) -> object_pb2.ProbeResult:
    return object_pb2.ProbeResult(
        success=probe.success,
        request=probe.request,
        answer=probe.answer,
        time=timestamp(probe.time),
        attempts=probe.attempts,
    )
