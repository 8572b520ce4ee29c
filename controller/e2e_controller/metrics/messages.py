"""Metrics to and from protobuf; each direction once. Invalid requests raise `InvalidArgument`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration

from e2e_api.errors import InvalidArgument
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_controller.metrics.changes import Baseline
from e2e_controller.metrics.expectations import Expectation, ExpectationType, Measure
from e2e_controller.metrics.hints import LabelMiss
from e2e_controller.metrics.matchers import LabelMatcher, MatchType
from e2e_controller.metrics.page import Origin, Series
from e2e_controller.metrics.selection import AbsentPolicy, Selection, SeriesKey, Sum, ValueType
from e2e_controller.metrics.watching import Part, Sample

Value = TypeVar("Value")

_MOST_NAMES = 1000
_LONGEST_NAME = 1000
_MATCH_TYPES = {
    pb.LABEL_MATCH_TYPE_EQUAL: MatchType.EQUAL,
    pb.LABEL_MATCH_TYPE_NOT_EQUAL: MatchType.NOT_EQUAL,
    pb.LABEL_MATCH_TYPE_REGEX: MatchType.REGEX,
    pb.LABEL_MATCH_TYPE_NOT_REGEX: MatchType.NOT_REGEX,
}
_VALUE_TYPES = {
    pb.METRIC_VALUE_TYPE_UNSPECIFIED: ValueType.VALUE,
    pb.METRIC_VALUE_TYPE_VALUE: ValueType.VALUE,
    pb.METRIC_VALUE_TYPE_COUNT: ValueType.COUNT,
}
_ABSENT_POLICIES = {
    pb.ABSENT_POLICY_UNSPECIFIED: AbsentPolicy.WAIT,
    pb.ABSENT_POLICY_WAIT: AbsentPolicy.WAIT,
    pb.ABSENT_POLICY_FAIL: AbsentPolicy.FAIL,
    pb.ABSENT_POLICY_SKIP: AbsentPolicy.SKIP,
}
_MEASURES = {
    pb.METRIC_MEASURE_UNSPECIFIED: Measure.VALUE,
    pb.METRIC_MEASURE_VALUE: Measure.VALUE,
    pb.METRIC_MEASURE_INCREASE: Measure.INCREASE,
    pb.METRIC_MEASURE_RATE: Measure.RATE,
}
_EXPECTATION_TYPES = {
    pb.ExpectationType.Value(f"EXPECTATION_TYPE_{type_.name}"): type_ for type_ in ExpectationType
}


def wait_from_proto(request: pb.WaitMetricsRequest) -> tuple[Selection, Expectation, float]:
    """What a wait is for, and for how many seconds; the expectation can judge what is selected."""
    selection = selection_from_proto(request.selection)
    expectation = expectation_from_proto(request.expectation)
    expectation.check_names(selection.names)
    if expectation.needs_series:
        selection = replace(selection, keeps_series=True)
    stable_for = seconds_from_proto(request.stable_for, "stable_for")
    return selection, expectation, stable_for


def seconds_from_proto(message: Duration, field: str) -> float:
    """A time that is not negative; 0 where none is given."""
    seconds = message.seconds + message.nanos / 1e9
    if seconds < 0:
        raise _invalid(field, f"expected a time of 0 or more, not {seconds:g}s")
    return seconds


def selection_from_proto(message: pb.MetricSelection) -> Selection:
    """The selection, without the workload's key."""
    if not message.names:
        raise _invalid("selection.names", "name at least one metric")
    return Selection(
        names_from_proto(message.names, "selection.names"),
        matchers_from_proto(message.matchers, "selection.matchers"),
        _known(_VALUE_TYPES, message.value_type, "selection.value_type"),
        _known(_ABSENT_POLICIES, message.absent, "selection.absent"),
    )


def names_from_proto(names: Sequence[str], field: str = "names") -> tuple[str, ...]:
    """Metric names."""
    if len(names) > _MOST_NAMES:
        raise _invalid(field, f"{len(names)} metrics at once; {_MOST_NAMES} is the most")
    for index, name in enumerate(names):
        if not name or "\n" in name or len(name) > _LONGEST_NAME:
            raise _invalid(f"{field}[{index}]", f"{name[:_LONGEST_NAME]!r} is not a metric's name")
    return tuple(names)


def matchers_from_proto(
    messages: Iterable[pb.LabelMatcher], field: str = "matchers"
) -> tuple[LabelMatcher, ...]:
    """Label matchers."""
    matchers = []
    for index, message in enumerate(messages):
        here = f"{field}[{index}]"
        if not message.name:
            raise _invalid(f"{here}.name", "name a label")
        type_ = _known(_MATCH_TYPES, message.type, f"{here}.type")
        try:
            matchers.append(LabelMatcher(message.name, type_, message.value))
        except InvalidArgument as error:
            raise _invalid(f"{here}.value", error.message) from error
    return tuple(matchers)


def expectation_from_proto(message: pb.Expectation) -> Expectation:
    """The expectation, its operands checked."""
    type_ = _known(_EXPECTATION_TYPES, message.type, "expectation.type")
    measure = _known(_MEASURES, message.measure, "expectation.measure")
    window = seconds_from_proto(message.window, "expectation.window")
    return Expectation(type_, tuple(message.operands), measure, window, message.each)


def sum_to_proto(sum_: Sum) -> pb.MetricSum:
    """A sum; its value is left out where it is absent, its change where there is none."""
    return pb.MetricSum(name=sum_.name, value=sum_.value, series=sum_.series, change=sum_.change)


def sample_to_proto(sample: Sample) -> pb.MetricSample:
    """A sample; what each workload adds to it, where there are several."""
    message = pb.MetricSample(sums=map(sum_to_proto, sample.sums), error=sample.error)
    message.time.FromDatetime(sample.time)
    if len(sample.parts) > 1:
        message.workloads.extend(map(_part_to_proto, sample.parts))
    return message


def _part_to_proto(part: Part) -> pb.WorkloadSample:
    return pb.WorkloadSample(workload=part.workload, sums=map(sum_to_proto, part.sums), error=part.error)


def series_to_proto(series: Series) -> pb.Series:
    """A series."""
    return pb.Series(family=series.family, name=series.name, labels=series.labels, value=series.value)


def matched_to_proto(name: str, series: SeriesKey, value: float, workload: str = "") -> pb.Series:
    """A series that was summed for a name."""
    sample, labels = series
    return pb.Series(family=name, name=sample, labels=dict(labels), value=value, workload=workload)


def miss_to_proto(miss: LabelMiss) -> pb.LabelMiss:
    """A matcher that nothing fulfils."""
    return pb.LabelMiss(
        name=miss.name, matcher=str(miss.matcher), unknown_label=miss.unknown_label, there=miss.there
    )


def baseline_to_proto(part: Part) -> pb.WorkloadBaseline:
    """What a workload has counted by now."""
    message = pb.WorkloadBaseline(workload=part.workload)
    for sum_ in part.sums:
        message.series.extend(matched_to_proto(sum_.name, *item) for item in sum_.values.items())
    if part.origin is not None:
        message.container = part.origin.container
        if part.origin.started_at is not None:
            message.started_at.FromDatetime(part.origin.started_at)
    return message


def baseline_from_proto(message: pb.WorkloadBaseline, names: Sequence[str]) -> Baseline:
    """What a workload had counted of these names."""
    values: dict[str, dict[SeriesKey, float]] = {name: {} for name in names}
    for found in message.series:
        values[found.family][found.name, tuple(sorted(found.labels.items()))] = found.value
    try:
        started_at = message.started_at.ToDatetime(UTC) if message.HasField("started_at") else None
    except (ValueError, OverflowError) as error:
        raise _invalid("baseline.workloads.started_at", f"is no time: {error}") from error
    origin = Origin(message.container, started_at) if message.container else None
    return Baseline(origin, tuple(values[name] for name in names))


def baselines_from_proto(request: pb.WaitMetricsRequest, measure: Measure) -> dict[str, Baseline]:
    """What a wait for an increase counts from, by workload; empty where that is how its begin is."""
    if not request.HasField("baseline"):
        return {}
    if measure is not Measure.INCREASE:
        raise _invalid("baseline", "has no effect but for an increase")
    wanted, given = pb.MetricSelection(), pb.MetricSelection()
    for selection, asked in ((wanted, request.selection), (given, request.baseline.selection)):
        selection.CopyFrom(asked)
        selection.ClearField("absent")
    if wanted != given:
        raise _invalid("baseline", "it is one of other metrics, labels or workloads")
    names = tuple(request.selection.names)
    if any(found.family not in names for item in request.baseline.workloads for found in item.series):
        raise _invalid("baseline", "it has series of a metric that was not selected")
    return {item.workload: baseline_from_proto(item, names) for item in request.baseline.workloads}


def _known(values: Mapping[Any, Value], number: int, field: str) -> Value:
    if number not in values:
        raise _invalid(field, f"{number} is not one of its values" if number else "say which")
    return values[number]


def _invalid(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(f"{field}: {message}", violations=[(field, message)])
