"""How sums are judged."""

import math

import pytest

from e2e_api.errors import InvalidArgument
from e2e_controller.metrics import AbsentPolicy, Expectation, ExpectationType, Measure, Sum

T = ExpectationType
NAN = math.nan


def sums(*values: float | None) -> list[Sum]:
    return [Sum(f"m{i}", value, 0 if value is None else 1) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("type_", "operands", "values", "holds"),
    [
        (T.EQUALS, (2,), (2,), True),
        (T.EQUALS, (2,), (2, 2), True),
        (T.EQUALS, (2,), (2, 3), False),
        (T.EQUALS, (NAN,), (NAN,), True),
        (T.EQUALS, (NAN,), (1,), False),
        (T.EQUALS, (math.inf,), (math.inf,), True),
        (T.NOT_EQUALS, (2,), (3,), True),
        (T.NOT_EQUALS, (2,), (3, 2), False),
        (T.NOT_EQUALS, (NAN,), (NAN,), False),
        (T.NOT_EQUALS, (2,), (NAN,), True),
        (T.GREATER, (2,), (2,), False),
        (T.GREATER, (2,), (2.1,), True),
        (T.GREATER, (2,), (NAN,), False),
        (T.GREATER_OR_EQUAL, (2,), (2,), True),
        (T.GREATER_OR_EQUAL, (2,), (1,), False),
        (T.LESS, (2,), (2,), False),
        (T.LESS, (2,), (1,), True),
        (T.LESS_OR_EQUAL, (2,), (2,), True),
        (T.LESS_OR_EQUAL, (2,), (3,), False),
        (T.BETWEEN, (1, 5), (1, 5), True),
        (T.BETWEEN, (1, 5), (0.9,), False),
        (T.BETWEEN, (1, 5), (5.1,), False),
        (T.EQUALS_AMONG_TWO, (), (3, 3), True),
        (T.EQUALS_AMONG_TWO, (), (NAN, NAN), True),
        (T.EQUALS_AMONG_TWO, (), (3, 4), False),
        (T.GREATER_AMONG_TWO, (), (4, 3), True),
        (T.GREATER_AMONG_TWO, (), (3, 3), False),
        (T.LESS_AMONG_TWO, (), (3, 4), True),
        (T.LESS_AMONG_TWO, (), (NAN, 4), False),
    ],
)
def test_comparisons(type_: T, operands: tuple[float, ...], values: tuple[float, ...], holds: bool) -> None:
    assert Expectation(type_, operands).holds(sums(*values)) is holds


@pytest.mark.parametrize("type_", [T.EQUALS, T.NOT_EQUALS, T.GREATER_OR_EQUAL, T.LESS])
def test_waiting_for_an_absent_metric_never_judges_it(type_: T) -> None:
    assert not Expectation(type_, (0,)).holds(sums(None))
    assert not Expectation(type_, (0,)).holds(sums(0, 1, -1, None))


def test_absent_is_what_has_no_series() -> None:
    absent = Expectation(T.ABSENT)
    assert absent.holds(sums(None, None), AbsentPolicy.FAIL)
    assert not absent.holds(sums(None, 0))
    assert not absent.holds([Sum("m", None, 1)])  # one of several workloads still has it


def test_a_change_is_judged_once_it_is_known() -> None:
    expectation = Expectation(T.LESS, (3,), Measure.INCREASE)
    assert not expectation.holds([Sum("m", 1, 1)])
    assert not expectation.holds([Sum("m", 1, 1, change=5)])
    assert expectation.holds([Sum("m", 9, 1, change=2)])
    assert not expectation.holds([Sum("m", 9, 1, change=2), Sum("n", None, 0)])
    assert expectation.holds([Sum("m", 9, 1, change=2), Sum("n", None, 0)], AbsentPolicy.SKIP)
    assert Expectation(T.GREATER_AMONG_TWO, (), Measure.INCREASE).holds(
        [Sum("m", 1, 1, change=2), Sum("n", 9, 1, change=1)]
    )


def test_each_series_is_judged_alone() -> None:
    expectation = Expectation(T.LESS, (3,), each=True)
    (key, other) = ("m", (("a", "1"),)), ("m", (("a", "2"),))
    assert expectation.holds([Sum("m", 4, 2, {key: 2, other: 2})])
    assert not expectation.holds([Sum("m", 1, 2, {key: -2, other: 3})])
    assert not expectation.holds([Sum("m", None, 0)])
    grown = Expectation(T.GREATER, (0,), Measure.INCREASE, each=True)
    assert grown.holds([Sum("m", 4, 2, change=3, changes=(1, 2))])
    assert not grown.holds([Sum("m", 4, 2, change=3, changes=(0, 3))])


def test_skipping_judges_the_others_alone() -> None:
    assert Expectation(T.EQUALS, (5,)).holds(sums(None, 5), AbsentPolicy.SKIP)
    assert not Expectation(T.EQUALS, (0,)).holds(sums(None, 5), AbsentPolicy.SKIP)


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        (Expectation(T.EQUALS, (2.0,)), "equals 2"),
        (Expectation(T.NOT_EQUALS, (NAN,)), "does not equal NaN"),
        (Expectation(T.GREATER, (0.5,)), "greater than 0.5"),
        (Expectation(T.GREATER_OR_EQUAL, (1e6,)), "greater than or equal to 1000000"),
        (Expectation(T.LESS, (-1,)), "less than -1"),
        (Expectation(T.LESS_OR_EQUAL, (math.inf,)), "less than or equal to inf"),
        (Expectation(T.BETWEEN, (1, 5)), "between 1 and 5"),
        (Expectation(T.EQUALS_AMONG_TWO), "first equals second"),
        (Expectation(T.GREATER_AMONG_TWO), "first greater than second"),
        (Expectation(T.LESS_AMONG_TWO), "first less than second"),
        (Expectation(T.ABSENT), "absent"),
        (Expectation(T.GREATER, (5,), Measure.INCREASE), "increased by greater than 5"),
        (Expectation(T.LESS, (5,), Measure.RATE, 1.5, each=True), "each rate over 1.5s less than 5"),
    ],
)
def test_in_words(expectation: Expectation, words: str) -> None:
    assert str(expectation) == words


@pytest.mark.parametrize(
    ("type_", "operands", "message"),
    [
        (T.EQUALS, (), "equals takes 1 operands, not 0"),
        (T.BETWEEN, (1,), "between takes 2 operands, not 1"),
        (T.EQUALS_AMONG_TWO, (1,), "equals_among_two takes 0 operands, not 1"),
        (T.GREATER, (NAN,), "greater NaN never holds"),
        (T.BETWEEN, (5, 1), "nothing is between 5 and 1"),
    ],
)
def test_what_can_never_hold_is_invalid(type_: T, operands: tuple[float, ...], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        Expectation(type_, operands)
    assert caught.value.violations[0][0] == "expectation.operands"


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_among_two_needs_two(names: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="exactly two"):
        Expectation(T.LESS_AMONG_TWO).check_names(names)
    Expectation(T.LESS_AMONG_TWO).check_names(["a", "b"])
    Expectation(T.LESS, (1,)).check_names(names)
