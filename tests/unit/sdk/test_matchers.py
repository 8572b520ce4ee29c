import math
from collections.abc import Callable

import pytest

from e2e import InvalidArgument, LabelMatcher, matchers
from e2e.matchers import ExpectationKind, as_label_matchers, format_number
from e2e.messages import expectation_message, matcher_messages
from e2e_api.v1 import metric_service_pb2

NAN = math.nan


@pytest.mark.parametrize(
    ("expectation", "sums", "holds", "text"),
    [
        (matchers.equals(2), (2.0,), True, "equals(2)"),
        (matchers.equals(2), (2.0, 2.0), True, "equals(2)"),
        (matchers.equals(2), (2.0, 3.0), False, "equals(2)"),
        (matchers.equals(NAN), (NAN,), True, "equals(NaN)"),
        (matchers.not_equals(NAN), (NAN,), False, "not_equals(NaN)"),
        (matchers.not_equals(1.5), (1.0,), True, "not_equals(1.5)"),
        (matchers.greater(50), (50.0,), False, "greater(50)"),
        (matchers.greater(50), (51.0, 52.0), True, "greater(50)"),
        (matchers.greater(50), (NAN,), False, "greater(50)"),
        (matchers.greater_or_equal(50), (50.0,), True, "greater_or_equal(50)"),
        (matchers.less(0.25), (0.2,), True, "less(0.25)"),
        (matchers.less_or_equal(-math.inf), (-math.inf,), True, "less_or_equal(-Inf)"),
        (matchers.between(1, 3), (1.0, 3.0), True, "between(1, 3)"),
        (matchers.between(1, 3), (3.1,), False, "between(1, 3)"),
        (matchers.equals_among_two(), (1.0, 1.0), True, "equals_among_two()"),
        (matchers.equals_among_two(), (NAN, NAN), True, "equals_among_two()"),
        (matchers.greater_among_two(), (2.0, 1.0), True, "greater_among_two()"),
        (matchers.greater_among_two(), (1.0, 2.0), False, "greater_among_two()"),
        (matchers.less_among_two(), (1.0, 2.0), True, "less_among_two()"),
    ],
)
def test_expectations_judge_and_print_themselves(
    expectation: matchers.Expectation, sums: tuple[float, ...], holds: bool, text: str
) -> None:
    assert expectation(*sums) is holds
    assert str(expectation) == repr(expectation) == text


def test_an_expectation_says_how_many_names_it_judges() -> None:
    with pytest.raises(InvalidArgument, match="exactly two metric names, not 1"):
        matchers.equals_among_two().check_count(1)
    with pytest.raises(InvalidArgument, match="at least one metric name"):
        matchers.equals(1)()


def test_an_expectation_that_can_never_hold_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"between\(3, 1\) can never hold"):
        matchers.between(3, 1)


def test_what_has_changed_and_each_series_say_so() -> None:
    grown = matchers.increased_by(matchers.greater_or_equal(5))
    assert str(grown) == "increased_by(greater_or_equal(5))"
    assert str(matchers.each(grown)) == "each(increased_by(greater_or_equal(5)))"
    assert str(matchers.rate(matchers.less(0.5), over=2)) == "rate(less(0.5), over=2)"
    assert str(matchers.increased_by(matchers.equals_among_two())) == "increased_by(equals_among_two())"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: matchers.rate(matchers.greater(1), over=0.05), "at least 0.1 seconds"),
        (lambda: matchers.rate(matchers.greater(1), over=NAN), "at least 0.1 seconds"),
        (lambda: matchers.increased_by(matchers.increased_by(matchers.greater(1))), "two things at once"),
        (lambda: matchers.rate(matchers.each(matchers.greater(1))), "each\\(...\\) goes around it"),
        (lambda: matchers.each(matchers.less_among_two()), "judges two sums, no series"),
        (lambda: matchers.increased_by(bool), "increased_by takes an expectation such as"),  # type: ignore[arg-type]
        (lambda: matchers.increased_by(matchers.greater(1))(2.0), "is for waits on workloads' metrics"),
        (lambda: matchers.each(matchers.greater(1))(2.0), "is for waits on workloads' metrics"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        make()


def test_every_expectation_has_a_message() -> None:
    types = {
        expectation_message(matchers.Expectation(kind, (1.0,) * kind.operands)).type
        for kind in ExpectationKind
    }
    assert types == set(metric_service_pb2.ExpectationType.values()) - {0}


def test_label_matchers_print_as_in_promql_and_have_messages() -> None:
    found = [
        LabelMatcher.equal("a", 'x"y'),
        LabelMatcher.not_equal("b", ""),
        LabelMatcher.regex("c", "5.."),
        LabelMatcher.not_regex("d", "x|y"),
    ]
    assert [str(matcher) for matcher in found] == ['a="x\\"y"', 'b!=""', 'c=~"5.."', 'd!~"x|y"']
    assert [message.type for message in matcher_messages(found)] == [1, 2, 3, 4]


def test_a_mapping_of_labels_means_equality() -> None:
    assert as_label_matchers({"code": "200"}) == (LabelMatcher.equal("code", "200"),)
    assert as_label_matchers(None) == ()


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2"), (0.1, "0.1"), (1e300, "1e+300"), (math.inf, "+Inf"), (-1.0, "-1")]
)
def test_numbers_are_written_shortly(value: float, text: str) -> None:
    assert format_number(value) == text
