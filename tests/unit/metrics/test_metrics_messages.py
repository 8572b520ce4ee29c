"""Metrics to and from protobuf."""

import math
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from e2e_api.errors import InvalidArgument
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_controller.metrics import (
    AbsentPolicy,
    Baseline,
    Expectation,
    ExpectationType,
    LabelMatcher,
    MatchType,
    Measure,
    Origin,
    Part,
    Sample,
    Selection,
    Series,
    Sum,
    ValueType,
    messages,
)

EXPECTATION = ("type", "operands", "measure", "window", "each")


def request(**changes: object) -> pb.WaitMetricsRequest:
    selection = pb.MetricSelection(names=["m"])
    expectation = pb.Expectation(type=pb.EXPECTATION_TYPE_EQUALS, operands=[2])
    for name, value in changes.items():
        target = expectation if name in EXPECTATION else selection
        target.MergeFrom(type(target)(**{name: value})) if value else target.ClearField(name)  # type: ignore[arg-type]
    return pb.WaitMetricsRequest(selection=selection, expectation=expectation)


def test_a_wait() -> None:
    message = request(
        matchers=[pb.LabelMatcher(name="a", type=pb.LABEL_MATCH_TYPE_NOT_REGEX, value="b+")],
        value_type=pb.METRIC_VALUE_TYPE_COUNT,
        absent=pb.ABSENT_POLICY_SKIP,
    )
    assert messages.wait_from_proto(message) == (
        Selection(
            ("m",), (LabelMatcher("a", MatchType.NOT_REGEX, "b+"),), ValueType.COUNT, AbsentPolicy.SKIP
        ),
        Expectation(ExpectationType.EQUALS, (2.0,)),
        0.0,
    )


def test_a_wait_for_what_changes_stays_and_is_so_of_each_series() -> None:
    message = request(
        measure=pb.METRIC_MEASURE_RATE, window=Duration(seconds=1, nanos=500_000_000), each=True
    )
    message.stable_for.FromMilliseconds(250)
    assert messages.wait_from_proto(message) == (
        Selection(("m",), keeps_series=True),
        Expectation(ExpectationType.EQUALS, (2.0,), Measure.RATE, 1.5, each=True),
        0.25,
    )


def test_defaults() -> None:
    assert messages.wait_from_proto(request())[0] == Selection(("m",), (), ValueType.VALUE, AbsentPolicy.WAIT)


def test_every_value_of_the_contract_is_known() -> None:
    for number in pb.ExpectationType.values()[1:]:
        operands = [0.0] * {pb.EXPECTATION_TYPE_BETWEEN: 2}.get(number, 1)
        if number >= pb.EXPECTATION_TYPE_EQUALS_AMONG_TWO:
            operands = []
        message = pb.Expectation(type=number, operands=operands)
        name = pb.ExpectationType.Name(number).removeprefix("EXPECTATION_TYPE_")
        assert messages.expectation_from_proto(message).type.name == name
    for number in pb.MetricMeasure.values()[1:]:
        window = Duration(seconds=1 if number == pb.METRIC_MEASURE_RATE else 0)
        found = messages.expectation_from_proto(request(measure=number, window=window).expectation)
        assert found.measure.name == pb.MetricMeasure.Name(number).removeprefix("METRIC_MEASURE_")
    for type_ in pb.LabelMatchType.values()[1:]:
        messages.matchers_from_proto([pb.LabelMatcher(name="a", type=type_, value="b")])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"names": []}, "selection.names"),
        ({"names": ["a", ""]}, "selection.names[2]"),
        ({"names": ["a"] * 1000}, "selection.names"),
        (
            {"matchers": [pb.LabelMatcher(type=pb.LABEL_MATCH_TYPE_EQUAL, value="x")]},
            "selection.matchers[0].name",
        ),
        ({"matchers": [pb.LabelMatcher(name="x")]}, "selection.matchers[0].type"),
        (
            {"matchers": [pb.LabelMatcher(name="x", type=pb.LABEL_MATCH_TYPE_REGEX, value="(")]},
            "selection.matchers[0].value",
        ),
        ({"value_type": 99}, "selection.value_type"),
        ({"absent": 99}, "selection.absent"),
        ({"type": 0}, "expectation.type"),
        ({"type": 99}, "expectation.type"),
        ({"operands": []}, "expectation.operands"),
        ({"type": pb.EXPECTATION_TYPE_EQUALS_AMONG_TWO, "operands": []}, "expectation.type"),
        ({"measure": 99}, "expectation.measure"),
        ({"measure": pb.METRIC_MEASURE_RATE}, "expectation.window"),
        ({"window": Duration(seconds=1)}, "expectation.window"),
        ({"measure": pb.METRIC_MEASURE_RATE, "window": Duration(seconds=-1)}, "expectation.window"),
        ({"type": pb.EXPECTATION_TYPE_ABSENT, "operands": [], "each": True}, "expectation.type"),
        (
            {"names": ["b"], "type": pb.EXPECTATION_TYPE_LESS_AMONG_TWO, "operands": [], "each": True},
            "expectation.each",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        messages.wait_from_proto(request(**changes))
    assert [name for name, _ in caught.value.violations] == [field]


def test_samples() -> None:
    time = datetime(2024, 5, 1, 12, 0, 0, 250000, tzinfo=UTC)
    message = messages.sample_to_proto(Sample(time, (Sum("a", None, 0), Sum("b", math.inf, 2))))
    assert message == pb.MetricSample(
        time=Timestamp(seconds=1714564800, nanos=250000000),
        sums=[pb.MetricSum(name="a"), pb.MetricSum(name="b", value=math.inf, series=2)],
    )
    assert [sum_.HasField("value") for sum_ in message.sums] == [False, True]
    assert messages.sample_to_proto(Sample(time, error="timeout")).error == "timeout"


def test_samples_of_several_workloads() -> None:
    parts = (Part("a", (Sum("m", 1, 1),)), Part("b", error="refused"))
    message = messages.sample_to_proto(Sample(datetime.now(UTC), error="b: refused", parts=parts))
    assert list(message.workloads) == [
        pb.WorkloadSample(workload="a", sums=[pb.MetricSum(name="m", value=1, series=1)]),
        pb.WorkloadSample(workload="b", error="refused"),
    ]
    assert not messages.sample_to_proto(Sample(datetime.now(UTC), parts=parts[:1])).workloads
    changed = messages.sum_to_proto(Sum("m", 3, 1, change=-1))
    assert changed == pb.MetricSum(name="m", value=3, series=1, change=-1)


@pytest.mark.parametrize("origin", [None, Origin("c1", None), Origin("c1", datetime(2024, 5, 1, tzinfo=UTC))])
def test_baselines(origin: Origin | None) -> None:
    first, second = ("m_sum", (("a", "1"), ("b", "2"))), ("m_sum", ())
    part = Part("web", (Sum("m", 3, 2, {first: 1.0, second: 2.0}), Sum("n", None, 0)), origin=origin)
    message = messages.baseline_to_proto(part)
    assert message.workload == "web"
    expected = Baseline(origin, ({first: 1.0, second: 2.0}, {}))
    assert messages.baseline_from_proto(message, ("m", "n")) == expected


def test_a_baseline_of_no_time_is_refused() -> None:
    message = pb.WorkloadBaseline(workload="web", container="c1", started_at=Timestamp(nanos=-5))
    with pytest.raises(InvalidArgument, match="is no time"):
        messages.baseline_from_proto(message, ("m",))


def test_series() -> None:
    message = messages.series_to_proto(Series("m", "m_sum", {"a": "b"}, 2))
    assert message == pb.Series(family="m", name="m_sum", labels={"a": "b"}, value=2)
