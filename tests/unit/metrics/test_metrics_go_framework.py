"""The Go framework's own tables (efficientgo/e2e, monitoring/instrumented_test.go), with its figures."""

import math

import pytest

from e2e_controller.metrics import (
    AbsentMetric,
    AbsentPolicy,
    Expectation,
    ExpectationType,
    LabelMatcher,
    MatchType,
    Page,
    Selection,
    ValueType,
    scrape_all,
    select,
)

TEXT = """
# HELP metric_c For the tables below.
# TYPE metric_c gauge
metric_c 20
# HELP metric_a For the tables below.
# TYPE metric_a gauge
metric_a 1
metric_a{first="value1"} 10
metric_a{first="value1", something="x"} 4
metric_a{first="value1", something2="a"} 203
metric_a{first="value2"} 2
metric_a{second="value1"} 1
# HELP metric_b For the tables below.
# TYPE metric_b gauge
metric_b 1000
# HELP metric_b_counter For the tables below.
# TYPE metric_b_counter counter
metric_b_counter 1020
# HELP metric_b_hist For the tables below.
# TYPE metric_b_hist histogram
metric_b_hist_count 5
metric_b_hist_sum 124
metric_b_hist_bucket{le="5.36870912e+08"} 1
metric_b_hist_bucket{le="+Inf"} 5
# HELP metric_b_summary For the tables below.
# TYPE metric_b_summary summary
metric_b_summary_sum 22
metric_b_summary_count 1
"""
TEXT_WITH_NAN = """
# HELP metric_c For the tables below.
# TYPE metric_c GAUGE
metric_c 20
# HELP metric_a For the tables below.
# TYPE metric_a GAUGE
metric_a 1
metric_a{first="value1"} 10
metric_a{first="value1", something="x"} 4
metric_a{first="value1", something2="a"} 203
metric_a{first="value1", something3="b"} Nan
metric_a{first="value2"} 2
metric_a{second="value1"} 1
# HELP metric_b For the tables below.
# TYPE metric_b GAUGE
metric_b 1000
"""
PAGE, PAGE_WITH_NAN = Page(TEXT), Page(TEXT_WITH_NAN)
EQUALS = ExpectationType.EQUALS
EQUALS_AMONG_TWO = Expectation(ExpectationType.EQUALS_AMONG_TWO)
GREATER_AMONG_TWO = Expectation(ExpectationType.GREATER_AMONG_TWO)
LESS_AMONG_TWO = Expectation(ExpectationType.LESS_AMONG_TWO)


@pytest.mark.parametrize(
    ("expectation", "names", "holds"),
    [
        (Expectation(EQUALS, (221,)), ["metric_a"], True),
        (Expectation(EQUALS, (16,)), ["metric_a"], False),
        (Expectation(EQUALS, (16,)), ["unknown_metric"], False),
        (Expectation(EQUALS, (1000,)), ["metric_b"], True),
        (Expectation(EQUALS, (1020,)), ["metric_b_counter"], True),
        (Expectation(EQUALS, (124,)), ["metric_b_hist"], True),
        (Expectation(EQUALS, (22,)), ["metric_b_summary"], True),
        (EQUALS_AMONG_TWO, ["metric_a", "metric_a"], True),
        (EQUALS_AMONG_TWO, ["metric_a", "metric_b"], False),
        (GREATER_AMONG_TWO, ["metric_b", "metric_a"], True),
        (GREATER_AMONG_TWO, ["metric_a", "metric_b"], False),
        (LESS_AMONG_TWO, ["metric_a", "metric_b"], True),
        (LESS_AMONG_TWO, ["metric_b", "metric_a"], False),
        (Expectation(EQUALS, (0,)), ["non_existing_metric"], False),
    ],
)
def test_wait_sum_metrics(expectation: Expectation, names: list[str], holds: bool) -> None:
    assert expectation.holds(select(PAGE, names)) is holds


def test_wait_sum_metrics_that_is_not_a_number() -> None:
    sums = select(PAGE_WITH_NAN, ["metric_a"])
    assert Expectation(EQUALS, (math.nan,)).holds(sums)
    assert [(sum_.name, sum_.series) for sum_ in sums] == [("metric_a", 7)]


def test_with_metric_count() -> None:
    sums = select(PAGE, ["metric_b_hist", "metric_b_summary"], value_type=ValueType.COUNT)
    assert [sum_.value for sum_ in sums] == [5, 1]


@pytest.mark.parametrize(
    ("matchers", "value", "series"),
    [
        ([("first", "=", "value1")], 217, 3),
        ([("first", "!=", "value1")], 4, 3),
        ([("first", "=~", "value.*")], 219, 4),
        ([("first", "=~", "value")], None, 0),
        ([("first", "!~", "value.*")], 2, 2),
        ([("first", "=", "value1"), ("something", "=", "x")], 4, 1),
        ([("first", "=", "value1"), ("something", "=", "")], 213, 2),
        ([("third", "=", "value1")], None, 0),
    ],
)
def test_with_label_matchers(matchers: list[tuple[str, str, str]], value: float | None, series: int) -> None:
    given = [LabelMatcher(name, MatchType(type_), text) for name, type_, text in matchers]
    (sum_,) = select(PAGE, ["metric_a"], given)
    assert (sum_.value, sum_.series) == (value, series)


@pytest.mark.parametrize(
    ("expectation", "names", "holds"),
    [
        (Expectation(EQUALS, (442,)), ["metric_a"], True),
        (Expectation(EQUALS, (221,)), ["metric_a"], False),
        (Expectation(EQUALS, (2040,)), ["metric_b_counter"], True),
        (Expectation(EQUALS, (248,)), ["metric_b_hist"], True),
        (Expectation(EQUALS, (44,)), ["metric_b_summary"], True),
        (EQUALS_AMONG_TWO, ["metric_a", "metric_a"], True),
        (GREATER_AMONG_TWO, ["metric_b", "metric_a"], True),
        (LESS_AMONG_TWO, ["metric_b", "metric_a"], False),
        (Expectation(EQUALS, (0,)), ["non_existing_metric"], False),
    ],
)
async def test_several_instances_sum_up_as_a_composite_does(
    expectation: Expectation, names: list[str], holds: bool
) -> None:
    async def fetch() -> Page:
        return PAGE

    sample = await scrape_all({"one": fetch, "other": fetch}, Selection(tuple(names)))
    assert expectation.holds(sample.sums) is holds


async def test_an_instance_without_the_metric_fails_a_composite() -> None:
    async def fetch() -> Page:
        return PAGE

    async def fetch_nothing() -> Page:
        return Page("other 1")

    fetches = {"one": fetch, "other": fetch_nothing}
    sample = await scrape_all(fetches, Selection(("metric_b",), absent=AbsentPolicy.FAIL))
    with pytest.raises(AbsentMetric, match="metric metric_b is absent"):
        Expectation(EQUALS, (1000,)).holds(sample.sums, AbsentPolicy.FAIL)
    skipping = Selection(("metric_b",), absent=AbsentPolicy.SKIP)
    sample = await scrape_all(fetches, skipping)
    assert Expectation(EQUALS, (1000,)).holds(sample.sums, AbsentPolicy.SKIP)


def test_missing_metrics_fail_where_the_framework_fails() -> None:
    with pytest.raises(AbsentMetric, match="metric nothing, neither is absent"):
        Expectation(EQUALS, (0,)).holds(select(PAGE, ["nothing", "metric_a", "neither"]), AbsentPolicy.FAIL)


@pytest.mark.parametrize(
    ("expectation", "names"),
    [
        (Expectation(EQUALS, (0,)), ["nothing"]),
        (Expectation(ExpectationType.LESS, (1,)), ["neither", "nothing"]),
        (GREATER_AMONG_TWO, ["metric_a", "nothing"]),
        (LESS_AMONG_TWO, ["nothing", "metric_a"]),
        (EQUALS_AMONG_TWO, ["neither", "nothing"]),
    ],
)
def test_what_is_skipped_is_not_0_as_it_is_in_the_framework(
    expectation: Expectation, names: list[str]
) -> None:
    assert not expectation.holds(select(PAGE, names), AbsentPolicy.SKIP)
