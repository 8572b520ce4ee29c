import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from e2e import (
    Absent,
    Environment,
    InvalidArgument,
    LabelMatcher,
    NotFound,
    Series,
    WaitFailed,
    WaitTimeout,
    Workload,
    equals,
    equals_among_two,
)
from e2e_api.v1 import metric_service_pb2 as pb

from .fake_controller import FakeController, sample


@pytest.fixture
def web(controller: FakeController) -> Iterator[Workload]:
    with Environment("env", timeout=5) as env:
        yield env.workload("web", image="x", ports={"http": 80}, metrics="http")


def answer(*responses: Any) -> Any:
    return lambda _: iter(responses)


def watch(*samples: pb.MetricSample) -> Any:
    return answer(*(pb.WatchMetricsResponse(sample=found) for found in samples))


def test_an_expectation_is_judged_by_the_controller(web: Workload, controller: FakeController) -> None:
    controller.answers["WaitMetrics"] = answer(pb.WaitMetricsResponse(sample=sample(a=2.0, b=2.0)))
    controller.deadlines.clear()
    matchers = [LabelMatcher.regex("code", "5..")]
    sums = web.wait_sum_metrics(
        equals(2), "a", "b", matchers=matchers, count=True, absent=Absent.SKIP, timeout=3
    )
    assert sums == {"a": 2.0, "b": 2.0}
    request = controller.asked(pb.WaitMetricsRequest)[0]
    assert request == pb.WaitMetricsRequest(
        selection=pb.MetricSelection(
            key=request.selection.key,
            names=["a", "b"],
            matchers=[pb.LabelMatcher(name="code", type=pb.LABEL_MATCH_TYPE_REGEX, value="5..")],
            value_type=pb.METRIC_VALUE_TYPE_COUNT,
            absent=pb.ABSENT_POLICY_SKIP,
        ),
        expectation=pb.Expectation(type=pb.EXPECTATION_TYPE_EQUALS, operands=[2]),
    )
    assert (request.selection.key.environment, request.selection.key.name) == ("env", "web")
    assert 3 < controller.deadlines[0] < 3.3


def test_a_wrong_number_of_names_is_refused_before_asking(web: Workload, controller: FakeController) -> None:
    with pytest.raises(InvalidArgument, match=r"equals_among_two\(\) judges exactly two metric names, not 1"):
        web.wait_sum_metrics(equals_among_two(), "a")
    with pytest.raises(InvalidArgument, match="give at least one metric name"):
        web.wait_sum_metrics(equals(1))
    assert not controller.asked(pb.WaitMetricsRequest)


def test_a_timeout_has_the_evidence(web: Workload, controller: FakeController) -> None:
    def late(_: Any) -> Iterator[Any]:
        raise WaitTimeout("late", details=[pb.MetricFailure(history=[sample(a=1.0)], scrapes=3)])

    controller.answers["WaitMetrics"] = late
    with pytest.raises(
        WaitTimeout, match=r"a of web did not become equals\(2\): waited (?s:.*)\+0.0s  a = 1"
    ):
        web.wait_sum_metrics(equals(2), "a")


def test_a_callable_is_judged_here(web: Workload, controller: FakeController) -> None:
    controller.answers["WatchMetrics"] = watch(
        sample(a=1.0, b=None),
        sample(error="refused", a=5.0, b=3.0),
        sample(a=1.0, b=1.0),
        sample(a=5.0, b=4.0),
    )
    seen = []

    def far_apart(first: float, second: float) -> bool:
        seen.append((first, second))
        return first - second == 1

    assert web.wait_sum_metrics(far_apart, "a", "b") == {"a": 5.0, "b": 4.0}
    assert seen == [(1.0, 1.0), (5.0, 4.0)]


def test_a_callable_may_skip_absent_metrics(web: Workload, controller: FakeController) -> None:
    controller.answers["WatchMetrics"] = watch(sample(a=None, b=None), sample(a=None, b=7.0))
    assert web.wait_sum_metrics(lambda *sums: sums == (7.0,), "a", "b", absent=Absent.SKIP) == {"b": 7.0}


def test_a_callable_may_fail_for_absent_metrics(web: Workload, controller: FakeController) -> None:
    controller.answers["WatchMetrics"] = watch(sample(a=1.0, b=None))
    with pytest.raises(NotFound, match="b of web: not on the metrics page"):
        web.wait_sum_metrics(lambda *sums: True, "a", "b", absent=Absent.FAIL)


def test_a_callable_is_asked_again_while_the_values_stay(web: Workload, controller: FakeController) -> None:
    left = Event()

    def one_change(_: Any) -> Iterator[Any]:
        yield pb.WatchMetricsResponse(sample=sample(a=1.0))
        left.wait(10)

    controller.answers["WatchMetrics"] = one_change
    asked: list[float] = []

    def third_time(value: float) -> bool:
        asked.append(value)
        return len(asked) == 3

    assert web.wait_sum_metrics(third_time, "a", timeout=10) == {"a": 1.0}
    assert asked == [1.0] * 3
    with pytest.raises(WaitTimeout) as late:
        web.wait_sum_metrics(lambda value: False, "a", timeout=1)
    assert str(late.value).count("a = 1") == 1  # it is told once, however often it was asked about
    left.set()


def test_many_changes_are_all_judged_in_order(web: Workload, controller: FakeController) -> None:
    values = [float(number) for number in range(500)]
    controller.answers["WatchMetrics"] = watch(*(sample(a=value) for value in values))
    asked: list[float] = []
    web.wait_sum_metrics(lambda value: (asked.append(value), value == 499)[1], "a")  # type: ignore[func-returns-value]
    assert asked == values


def test_a_callable_that_raises_is_the_callers(web: Workload, controller: FakeController) -> None:
    controller.answers["WatchMetrics"] = watch(sample(a=1.0))
    with pytest.raises(ZeroDivisionError):
        web.wait_sum_metrics(lambda value: value / 0, "a")


def test_the_history_of_what_is_judged_here_is_told(web: Workload, controller: FakeController) -> None:
    def exits(_: Any) -> Iterator[Any]:
        for value in range(12):
            yield pb.WatchMetricsResponse(sample=sample(at=value, a=float(value)))
        raise WaitFailed("web exited with code 1")

    controller.answers["WatchMetrics"] = exits
    with pytest.raises(WaitFailed) as raised:
        web.wait_sum_metrics(lambda value: value > 20, "a")
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("a of web did not become as the lambda at test_metrics.py:")
    assert lines[1] == "  web exited with code 1"
    assert lines[3] == "    +0.0s  a = 2"
    assert lines[-1] == "    +9.0s  a = 11"


def test_what_is_judged_here_has_as_much_time_as_was_given(web: Workload, controller: FakeController) -> None:
    def never(_: Any) -> Iterator[Any]:
        yield pb.WatchMetricsResponse(sample=sample(a=1.0))
        time.sleep(0.5)

    controller.answers["WatchMetrics"] = never
    with pytest.raises(WaitTimeout, match=r"waited 0\.2 s") as raised:
        web.wait_sum_metrics(lambda value: value > 20, "a", timeout=0.2)
    assert raised.value.reason == "Timeout"
    for wrong in (-1.0, float("nan")):
        with pytest.raises(InvalidArgument, match="timeout: expected seconds, 0 or more"):
            web.wait_sum_metrics(equals(1), "a", timeout=wrong)


def test_a_metric_can_be_waited_to_go(web: Workload, controller: FakeController) -> None:
    controller.answers["WatchMetrics"] = watch(sample(a=1.0), sample(error="refused"), sample(a=None))
    web.wait_removed_metric("a", matchers={"x": "1"})
    selection = controller.asked(pb.WatchMetricsRequest)[0].selection
    assert (selection.absent, selection.matchers[0].value) == (pb.ABSENT_POLICY_SKIP, "1")
    controller.answers["WatchMetrics"] = watch(sample(a=1.0))
    with pytest.raises(WaitFailed, match=r"a of web did not become absent: (?s:.*)ended the watch"):
        web.wait_removed_metric("a")


def test_sums_now(web: Workload, controller: FakeController) -> None:
    controller.answers["SumMetrics"] = answer(pb.SumMetricsResponse(sample=sample(a=1.0, b=None)))
    assert web.sum_metrics("a", "b", absent=Absent.SKIP) == {"a": 1.0}
    assert web.sum_metric("a") == 1.0
    with pytest.raises(NotFound, match="b of web"):
        web.sum_metrics("a", "b")
    with pytest.raises(InvalidArgument, match="absent can be FAIL or SKIP"):
        web.sum_metrics("a", absent=Absent.WAIT)


def test_series_now(web: Workload, controller: FakeController) -> None:
    line = pb.Series(family="a", name="a_bucket", labels={"le": "1"}, value=3)
    controller.answers["GetMetrics"] = answer(pb.GetMetricsResponse(series=[line]))
    assert web.metrics("a", matchers={"le": "1"}) == [Series("a", "a_bucket", {"le": "1"}, 3.0)]
