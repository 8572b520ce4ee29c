"""Protobuf messages to the SDK's values, and back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

from google.protobuf.timestamp_pb2 import Timestamp

from e2e.matchers import Expectation, ExpectationKind, LabelMatcher, LabelOperator, Measure
from e2e.values import (
    Absent,
    ContainerStatus,
    Endpoint,
    EnvironmentSummary,
    Goal,
    Phase,
    ProbeStatus,
    Series,
    WorkloadStatus,
)
from e2e_api.conditions import Action, Condition, ConditionType, Status
from e2e_api.v1 import environment_service_pb2, metric_service_pb2, object_pb2, wait_service_pb2

CONTAINER_KINDS = ("Workload", "Job")
"""The kinds that make a container."""

GOALS = {goal: wait_service_pb2.WaitGoal.Value(f"WAIT_GOAL_{goal.name}") for goal in Goal}
_EXPECTATIONS = {
    kind: metric_service_pb2.ExpectationType.Value(f"EXPECTATION_TYPE_{kind.name}")
    for kind in ExpectationKind
}
_MEASURES = {
    Measure.VALUE: metric_service_pb2.METRIC_MEASURE_UNSPECIFIED,
    Measure.INCREASE: metric_service_pb2.METRIC_MEASURE_INCREASE,
    Measure.RATE: metric_service_pb2.METRIC_MEASURE_RATE,
}
_OPERATORS = {
    operator: metric_service_pb2.LabelMatchType.Value(f"LABEL_MATCH_TYPE_{operator.name}")
    for operator in LabelOperator
}
_ABSENT = {absent: metric_service_pb2.AbsentPolicy.Value(f"ABSENT_POLICY_{absent.name}") for absent in Absent}
_STATUSES = {
    object_pb2.CONDITION_STATUS_TRUE: Status.TRUE,
    object_pb2.CONDITION_STATUS_FALSE: Status.FALSE,
}


def container_key(environment: str, name: str, kind: str = "Workload") -> object_pb2.ObjectKey:
    """The key of a workload or job."""
    return object_pb2.ObjectKey(environment=environment, kind=kind, name=name)


def environment_key(environment: str) -> object_pb2.ObjectKey:
    """The key of an environment itself."""
    return object_pb2.ObjectKey(environment=environment, kind="Environment", name=environment)


def is_defined_by_user(found: object_pb2.Object) -> bool:
    """Whether a file that the API may not change asks for the object, and so for its environment."""
    if found.key.kind == "File" or found.managed_by_api or found.deleting:
        return False
    # A workload that never had a good manifest asks for nothing.
    return bool(found.source) and (found.key.kind == "Environment" or bool(found.document))


def expectation_message(expectation: Expectation) -> metric_service_pb2.Expectation:
    """The expectation for the controller to judge."""
    message = metric_service_pb2.Expectation(
        type=_EXPECTATIONS[expectation.kind],
        operands=expectation.operands,
        measure=_MEASURES[expectation.measure],
        each=expectation.of_each,
    )
    if expectation.window:
        message.window.FromNanoseconds(int(expectation.window * 1e9))
    return message


def matcher_messages(matchers: Iterable[LabelMatcher]) -> list[metric_service_pb2.LabelMatcher]:
    """The label matchers for the controller."""
    return [
        metric_service_pb2.LabelMatcher(
            name=matcher.name, type=_OPERATORS[matcher.operator], value=matcher.value
        )
        for matcher in matchers
    ]


def selection_message(
    keys: Sequence[object_pb2.ObjectKey],
    names: Iterable[str],
    matchers: Iterable[LabelMatcher],
    count: bool,
    absent: Absent,
) -> metric_service_pb2.MetricSelection:
    """Which series of which workloads are summed."""
    value_type = (
        metric_service_pb2.METRIC_VALUE_TYPE_COUNT if count else metric_service_pb2.METRIC_VALUE_TYPE_VALUE
    )
    return metric_service_pb2.MetricSelection(
        key=keys[0] if len(keys) == 1 else None,
        keys=keys if len(keys) > 1 else (),
        names=names,
        matchers=matcher_messages(matchers),
        value_type=value_type,
        absent=_ABSENT[absent],
    )


def sums_of(sample: metric_service_pb2.MetricSample) -> dict[str, float]:
    """The sums that are there, by name; an absent metric is left out."""
    return {found.name: found.value for found in sample.sums if found.HasField("value")}


def judged_of(sample: metric_service_pb2.MetricSample) -> dict[str, float]:
    """What a wait has judged, by name: the changes where it was about them, else the sums."""
    changes = {found.name: found.change for found in sample.sums if found.HasField("change")}
    return sums_of(sample) | changes


def series_of(message: metric_service_pb2.Series) -> Series:
    """One line of a metrics page."""
    return Series(message.family, message.name, dict(message.labels), message.value)


def environment_summary_of(message: environment_service_pb2.EnvironmentSummary) -> EnvironmentSummary:
    """One line of the list of environments."""
    return EnvironmentSummary(
        message.environment,
        message.objects,
        message.ready,
        message.leases,
        message.network,
        message.shared_directory,
        time_of(message.ends),
        message.end_cause,
        message.subnet,
    )


def conditions_of(messages: Iterable[object_pb2.Condition]) -> tuple[Condition, ...]:
    """The conditions of types that this version knows."""
    known = {str(kind) for kind in ConditionType}
    return tuple(
        Condition(
            ConditionType(message.type),
            _STATUSES.get(message.status, Status.UNKNOWN),
            message.reason,
            message.message,
            time_of(message.last_transition_time),
        )
        for message in messages
        if message.type in known
    )


def status_of(message: object_pb2.Object) -> WorkloadStatus:
    """What the controller knows of a workload."""
    status = message.status
    return WorkloadStatus(
        summary=status.summary,
        progress=status.progress,
        source=message.source,
        conditions=conditions_of(status.conditions),
        endpoints=endpoints_of(status.endpoints),
        container=_container_of(status.container) if status.HasField("container") else None,
        last_probe=_probe_of(status.last_probe) if status.HasField("last_probe") else None,
        directory=status.directory,
        previous_container=_container_of(status.previous_container)
        if status.HasField("previous_container")
        else None,
        phases=tuple(
            Phase(item.name, item.started_at.ToDatetime(UTC), item.duration.ToNanoseconds() / 1e9)
            for item in status.phases
        ),
        action=action_of(status.action),
    )


def action_of(text: str) -> Action | None:
    """What helps, in one of the words that this version knows."""
    return next((known for known in get_args(Action) if known == text), None)


def endpoints_of(messages: Iterable[object_pb2.Endpoint]) -> Mapping[str, Endpoint]:
    """The endpoints by their ports' names."""
    return {
        message.port: Endpoint(message.internal, message.external, message.protocol, message.problem)
        for message in messages
    }


def _container_of(message: object_pb2.ContainerState) -> ContainerStatus:
    return ContainerStatus(
        id=message.id,
        image=message.image,
        state=message.state,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        oom_killed=message.oom_killed,
        started_at=time_of(message.started_at),
        finished_at=time_of(message.finished_at),
        restart_count=message.restart_count,
        last_log_lines=tuple(message.last_log_lines),
        signal=message.signal,
        error=message.error,
    )


def _probe_of(message: object_pb2.ProbeResult) -> ProbeStatus:
    time = time_of(message.time)
    return ProbeStatus(message.success, message.request, message.answer, message.attempts, time)


def time_of(message: Timestamp) -> datetime | None:
    """The time in UTC, or None when it was not set."""
    return message.ToDatetime(UTC) if message.seconds or message.nanos else None
