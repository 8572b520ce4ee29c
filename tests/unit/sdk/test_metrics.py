import time
from collections.abc import Iterator
from itertools import groupby
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
    each,
    equals,
    equals_among_two,
    greater,
    greater_or_equal,
    increased_by,
    rate,
)
from e2e_api.errors import DEADLINE_MARGIN
from e2e_api.v1 import metric_service_pb2 as pb

from .fake_controller import FakeController, sample


@pytest.fixture
def web(controller: FakeController) -> Iterator[Workload]:
    with Environment("env", timeout=60) as env:
        yield env.workload("web", image="x", ports={"http": 80}, metrics="http")


def answer(*responses: Any) -> Any:
    return lambda _: iter(responses)


def watch(*samples: pb.MetricSample) -> Any:
    return answer(*(pb.WatchMetricsResponse(sample=found) for found in samples))


def late(failure: pb.MetricFailure) -> Any:
    def raises(_: Any) -> Iterator[Any]:
        raise WaitTimeout("late", details=[failure])

    return raises


def test_an_expectation_is_judged_by_the_controller(web: Workload, controller: FakeController) -> None:
    controller.answers["WaitMetrics"] = answer(pb.WaitMetricsResponse(sample=sample(a=2.0, b=2.0)))
    controller.deadlines.clear()
    began = time.monotonic()
    matchers = [LabelMatcher.regex("code", "5..")]
    sums = web.wait_sum_metrics(
        equals(2), "a", "b", matchers=matchers, count=True, absent=Absent.SKIP, timeout=30
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
    most = 30 + DEADLINE_MARGIN
    assert most - (time.monotonic() - began) - 0.01 < controller.deadlines[0] < most + 0.1


def test_a_wrong_number_of_names_is_refused_before_asking(web: Workload, controller: FakeController) -> None:
    with pytest.raises(InvalidArgument, match=r"equals_among_two\(\) judges exactly two metric names, not 1"):
        web.wait_sum_metrics(equals_among_two(), "a")
    with pytest.raises(InvalidArgument, match="give at least one metric name"):
        web.wait_sum_metrics(equals(1))
    assert not controller.asked(pb.WaitMetricsRequest)


def test_a_timeout_has_the_evidence(web: Workload, controller: FakeController) -> None:
    failure = pb.MetricFailure(history=[sample(a=1.0)], scrapes=3)
    controller.answers["WaitMetrics"] = late(failure)
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
    assert list(dict.fromkeys(seen)) == [(1.0, 1.0), (5.0, 4.0)]  # again while the next one is late


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
        left.wait(60)

    controller.answers["WatchMetrics"] = one_change
    asked: list[float] = []

    def third_time(value: float) -> bool:
        asked.append(value)
        return len(asked) == 3

    assert web.wait_sum_metrics(third_time, "a", timeout=60) == {"a": 1.0}
    assert asked == [1.0] * 3
    left.set()


def test_what_stays_is_told_once_however_often_it_was_asked_about(
    web: Workload, controller: FakeController
) -> None:
    third_time = Event()

    def stays(_: Any) -> Iterator[Any]:
        yield pb.WatchMetricsResponse(sample=sample(a=1.0))
        assert third_time.wait(60)
        raise WaitTimeout("not in time", reason="Timeout")

    controller.answers["WatchMetrics"] = stays
    asked: list[float] = []

    def never(value: float) -> bool:
        asked.append(value)
        if len(asked) == 3:
            third_time.set()
        return False

    with pytest.raises(WaitTimeout) as late:
        web.wait_sum_metrics(never, "a")
    assert str(late.value).count("a = 1") == 1


def test_many_changes_are_all_judged_in_order(web: Workload, controller: FakeController) -> None:
    values = [float(number) for number in range(500)]
    controller.answers["WatchMetrics"] = watch(*(sample(a=value) for value in values))
    asked: list[float] = []
    web.wait_sum_metrics(lambda value: (asked.append(value), value == 499)[1], "a")  # type: ignore[func-returns-value]
    assert list(dict.fromkeys(asked)) == values


def test_a_callable_in_vain_has_the_controllers_evidence(web: Workload, controller: FakeController) -> None:
    def in_vain(_: Any) -> Iterator[Any]:
        yield pb.WatchMetricsResponse(sample=sample(a=1.0))
        failure = pb.MetricFailure(history=[sample(a=1.0)], scrapes=7, similar=["b"])
        raise WaitTimeout("not in time", reason="Timeout", details=[failure])

    controller.answers["WatchMetrics"] = in_vain
    with pytest.raises(WaitTimeout) as late:
        web.wait_sum_metrics(lambda value: value > 20, "a")
    text = str(late.value)
    assert text.count("a = 1") == 1
    assert text.endswith("\n  names on the page like it: b\n  looked 7 times")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((5, "a"), r"expected an expectation such as equals\(5\), or a callable, not 5"),
        ((None, "a"), "not None"),
        (("a", equals(5)), r"expected the name of a metric, not equals\(5\)"),
        ((equals(5), ["a", "b"]), r"expected the name of a metric, not \['a', 'b'\]"),
    ],
)
def test_arguments_of_another_kind_are_named(
    web: Workload, controller: FakeController, arguments: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        web.wait_sum_metrics(*arguments)
    assert not controller.asked(pb.WatchMetricsRequest)


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
    assert lines[3] == "    +0.0s  a = 0"
    assert lines[-1] == "    +11.0s  a = 11"
    assert len(lines) == 3 + 10  # of more, some that are spread over the time


def test_a_sum_of_what_is_absent_tells_what_may_have_been_meant(
    web: Workload, controller: FakeController
) -> None:
    def absent(_: Any) -> Iterator[Any]:
        details = [pb.MetricFailure(similar=["requests_total"])]
        raise NotFound("web: metric request_total is absent", reason="AbsentMetric", details=details)

    controller.answers["SumMetrics"] = absent
    with pytest.raises(NotFound) as raised:
        web.sum_metrics("request_total")
    text = "web: metric request_total is absent\n  names on the page like it: requests_total"
    assert (str(raised.value), raised.value.reason) == (text, "AbsentMetric")


def test_what_is_judged_here_has_as_much_time_as_was_given(web: Workload, controller: FakeController) -> None:
    controller.answers["WatchMetrics"] = late(pb.MetricFailure(history=[sample(a=1.0)]))
    controller.deadlines.clear()
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"a of web did not become as the lambda.*: waited"):
        web.wait_sum_metrics(lambda value: value > 20, "a", timeout=30)
    waited, most = time.monotonic() - began, 30 + DEADLINE_MARGIN
    # What is over it is for the controller's evidence.
    assert most - waited - 0.01 < controller.deadlines[0] <= most + 0.1


def test_a_controller_that_never_answers_is_waited_for_as_long_as_was_given(
    web: Workload, controller: FakeController
) -> None:
    left = Event()

    def never(_: Any) -> Iterator[Any]:
        yield pb.WatchMetricsResponse(sample=sample(a=1.0))
        left.wait(60)

    controller.answers["WatchMetrics"] = never
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"a of web did not become as the lambda.*: waited") as raised:
        web.wait_sum_metrics(lambda value: value > 20, "a", timeout=0.2)
    left.set()
    assert time.monotonic() - began >= 0.2
    assert raised.value.reason == "Timeout"
    for wrong in (-1.0, float("nan")):
        with pytest.raises(InvalidArgument, match="timeout: expected seconds, 0 or more"):
            web.wait_sum_metrics(equals(1), "a", timeout=wrong)


def test_metrics_can_be_waited_to_go(web: Workload, controller: FakeController) -> None:
    controller.answers["WaitMetrics"] = answer(pb.WaitMetricsResponse(sample=sample(a=None, b=None)))
    web.wait_removed_metric("a", "b", matchers={"x": "1"}, stable_for=0.5)
    (request,) = controller.asked(pb.WaitMetricsRequest)
    assert request.expectation == pb.Expectation(type=pb.EXPECTATION_TYPE_ABSENT)
    assert (list(request.selection.names), request.selection.matchers[0].value) == (["a", "b"], "1")
    assert (request.selection.absent, request.stable_for.ToMilliseconds()) == (pb.ABSENT_POLICY_SKIP, 500)
    controller.answers["WaitMetrics"] = late(pb.MetricFailure(history=[sample(a=1.0)]))
    with pytest.raises(WaitTimeout, match=r"a of web did not become absent: waited (?s:.*)a = 1"):
        web.wait_removed_metric("a")
    with pytest.raises(InvalidArgument, match="at least one metric name"):
        web.wait_removed_metric()


def test_what_has_changed_is_judged_by_the_controller_and_given(
    web: Workload, controller: FakeController
) -> None:
    message = sample(a=12.0)
    message.sums[0].change = 5
    controller.answers["WaitMetrics"] = answer(pb.WaitMetricsResponse(sample=message))
    assert web.wait_sum_metrics(increased_by(greater_or_equal(5)), "a") == {"a": 5.0}
    controller.answers["WaitMetrics"] = late(pb.MetricFailure(history=[message]))
    text = r"each\(rate\(greater\(9\), over=2\)\)(?s:.*)a = 12 \(changed by 5 per second\)"
    with pytest.raises(WaitTimeout, match=text):
        web.wait_sum_metrics(each(rate(greater(9), over=2)), "a")
    first, second = (request.expectation for request in controller.asked(pb.WaitMetricsRequest))
    assert first == pb.Expectation(
        type=pb.EXPECTATION_TYPE_GREATER_OR_EQUAL, operands=[5], measure=pb.METRIC_MEASURE_INCREASE
    )
    assert (second.measure, second.each, second.window.seconds) == (pb.METRIC_MEASURE_RATE, True, 2)


def test_a_baseline_is_given_back_to_the_controller(web: Workload, controller: FakeController) -> None:
    found = pb.MetricBaseline(workloads=[pb.WorkloadBaseline(workload="web", container="c1")])
    controller.answers["GetBaseline"] = answer(pb.GetBaselineResponse(baseline=found))
    before = web.baseline("a", matchers={"x": "1"})
    assert repr(before) == "Baseline(workloads=('web',), names=('a',))"
    controller.answers["WaitMetrics"] = answer(pb.WaitMetricsResponse(sample=sample(a=1.0)))
    web.wait_sum_metrics(increased_by(equals(5), since=before), "a", matchers={"x": "1"})
    (asked,) = controller.asked(pb.GetBaselineRequest)
    (waited,) = controller.asked(pb.WaitMetricsRequest)
    assert waited.baseline == found
    assert asked.selection == waited.selection


def test_what_shall_hold_for_some_time_is_judged_by_the_controller(
    web: Workload, controller: FakeController
) -> None:
    failure = pb.MetricFailure(history=[sample(a=2.0), sample(at=1, a=3.0)])
    failure.longest_held.FromMilliseconds(700)
    controller.answers["WaitMetrics"] = late(failure)
    with pytest.raises(WaitTimeout) as raised:
        web.wait_sum_metrics(equals(2), "a", stable_for=1.5)
    assert controller.asked(pb.WaitMetricsRequest)[0].stable_for.ToMilliseconds() == 1500
    assert str(raised.value).startswith("a of web did not become equals(2) for 1.5 s without a break: waited")
    assert "  it held for 0.7 s at most" in str(raised.value).splitlines()
    assert raised.value.metrics is not None
    assert raised.value.metrics.longest_held.ToMilliseconds() == 700
    with pytest.raises(InvalidArgument, match=r"rate\(equals\(2\), over=60\) is not known before"):
        web.wait_sum_metrics(rate(equals(2), over=60), "a")
    for wrong in (60.0, -1.0, float("nan")):
        with pytest.raises(InvalidArgument, match=r"stable_for: expected seconds below the timeout \(60\)"):
            web.wait_sum_metrics(equals(2), "a", stable_for=wrong)


class JudgesTime:
    """Stands in for the module `time`: it goes on while a value is judged, from the first that is not 2."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def note(self, value: float) -> None:
        self.asked.append(value)
        if set(self.asked) != {2.0}:
            self.now += 0.5


def test_a_callable_may_have_to_hold_for_some_time(
    web: Workload, controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Event()

    def changes(_: Any) -> Iterator[Any]:
        for value, error in ((2.0, ""), (1.0, ""), (2.0, ""), (2.0, "refused"), (2.0, "")):
            yield pb.WatchMetricsResponse(sample=sample(error=error, a=value))
        left.wait(60)

    controller.answers["WatchMetrics"] = changes
    clock = JudgesTime()
    monkeypatch.setattr("e2e._sync.sums.time", clock)
    web.wait_sum_metrics(lambda value: (clock.note(value), value == 2)[1], "a", stable_for=1.5)  # type: ignore[func-returns-value]
    # The failed scrape is not asked about, and is a break.
    assert [value for value, _ in groupby(clock.asked)] == [2.0, 1.0, 2.0]
    after = clock.asked[clock.asked.index(1.0) :].count(2.0)
    assert after >= 4  # the first is the beginning of 1.5 seconds
    left.set()


def test_what_has_not_held_for_long_enough_is_told(
    web: Workload, controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = Event()

    def changes(_: Any) -> Iterator[Any]:
        yield pb.WatchMetricsResponse(sample=sample(a=1.0))
        yield pb.WatchMetricsResponse(sample=sample(a=2.0))
        assert changed.wait(60)
        raise WaitTimeout("not in time", reason="Timeout")

    def is_one(value: float) -> bool:
        if value == 2:
            changed.set()
        return value == 1

    controller.answers["WatchMetrics"] = changes
    monkeypatch.setattr("e2e._sync.sums.time", JudgesTime())  # which stands still
    text = r"for 1\.9 s without a break: waited(?s:.*)it never held for more than one look"
    with pytest.raises(WaitTimeout, match=text):
        web.wait_sum_metrics(is_one, "a", stable_for=1.9)


def test_several_workloads_are_asked_at_once(web: Workload, controller: FakeController) -> None:
    with Environment("env2", timeout=60) as env:
        together = [env.workload("a", image="x", ports={"http": 80}, metrics="http"), "b"]
        controller.answers["SumMetrics"] = answer(pb.SumMetricsResponse(sample=sample(m=3.0)))
        assert env.sum_metrics(together, "m") == {"m": 3.0}
        keys = controller.asked(pb.SumMetricsRequest)[0].selection.keys
        assert [(key.environment, key.name) for key in keys] == [("env2", "a"), ("env2", "b")]
        found = sample(m=3.0)
        found.workloads.add(workload="a").sums.add(name="m", value=1)
        found.workloads.add(workload="b").sums.add(name="m", value=2)
        controller.answers["WaitMetrics"] = late(pb.MetricFailure(history=[found]))
        with pytest.raises(
            WaitTimeout, match=r"^m of a, b did not become equals\(4\)(?s:.*)m = 3 \(a 1, b 2\)"
        ):
            env.wait_sum_metrics(together, equals(4), "m")
        with pytest.raises(WaitTimeout, match=r"^m of a, b did not become absent"):
            env.wait_removed_metric(together, "m")
        controller.answers["WatchMetrics"] = watch(found)
        assert env.wait_sum_metrics(together, lambda value: value == 3, "m") == {"m": 3.0}
        for nothing in (lambda: env.sum_metrics([], "m"), lambda: env.wait_sum_metrics([], equals(1), "m")):
            with pytest.raises(InvalidArgument, match="give at least one workload"):
                nothing()
        found.sums[0].ClearField("value")
        found.workloads[1].sums[0].ClearField("value")
        controller.answers["SumMetrics"] = answer(pb.SumMetricsResponse(sample=found))
        with pytest.raises(NotFound, match=r"^m of b: not on the metrics page"):
            env.sum_metrics(together, "m")


def test_sums_now(web: Workload, controller: FakeController) -> None:
    controller.answers["SumMetrics"] = answer(pb.SumMetricsResponse(sample=sample(a=1.0, b=None)))
    assert web.sum_metrics("a", "b", absent=Absent.SKIP) == {"a": 1.0}
    assert web.sum_metric("a") == 1.0
    with pytest.raises(NotFound, match="b of web"):
        web.sum_metrics("a", "b")
    with pytest.raises(InvalidArgument, match="absent can be FAIL or SKIP"):
        web.sum_metrics("a", absent=Absent.WAIT)


def test_series_now(web: Workload, controller: FakeController) -> None:
    line = pb.Series(family="a", name="a_bucket", labels={"le": '1"'}, value=3)
    controller.answers["GetMetrics"] = answer(pb.GetMetricsResponse(series=[line]))
    found = web.metrics("a", matchers={"le": '1"'})
    assert found == [Series("a", "a_bucket", {"le": '1"'}, 3.0)]
    assert str(found[0]) == 'a_bucket{le="1\\""} 3'
    assert str(Series("a", "a", {}, 0.5)) == "a 0.5"


def test_the_page_now(web: Workload, controller: FakeController) -> None:
    controller.answers["GetMetricsPage"] = answer(pb.GetMetricsPageResponse(text="# any\na 1\n"))
    assert web.metrics_page() == "# any\na 1\n"
