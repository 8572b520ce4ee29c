"""How sums are judged."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from e2e_api.errors import InvalidArgument
from e2e_api.quantities import format_duration
from e2e_controller.metrics.selection import AbsentPolicy, Sum, same_value


class AbsentMetric(Exception):  # noqa: N818 - what it is called in the API
    """Metrics are not on the page, and that was to fail at once."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"metric {', '.join(names)} is absent")
        self.names = tuple(names)


class ExpectationType(StrEnum):
    """The comparisons."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    GREATER = "greater"
    GREATER_OR_EQUAL = "greater_or_equal"
    LESS = "less"
    LESS_OR_EQUAL = "less_or_equal"
    BETWEEN = "between"
    EQUALS_AMONG_TWO = "equals_among_two"
    GREATER_AMONG_TWO = "greater_among_two"
    LESS_AMONG_TWO = "less_among_two"
    ABSENT = "absent"


class Measure(StrEnum):
    """What of a sum is judged."""

    VALUE = "value"
    INCREASE = "increase"
    """How much it has grown since the wait began."""
    RATE = "rate"
    """How much it has grown per second, in the last window."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    operands: int
    words: str
    holds: Callable[..., bool]


_ALONE = {
    ExpectationType.EQUALS: _Comparison(1, "equals {}", same_value),
    ExpectationType.NOT_EQUALS: _Comparison(1, "does not equal {}", lambda sum_, x: not same_value(sum_, x)),
    ExpectationType.GREATER: _Comparison(1, "greater than {}", lambda sum_, x: sum_ > x),
    ExpectationType.GREATER_OR_EQUAL: _Comparison(
        1, "greater than or equal to {}", lambda sum_, x: sum_ >= x
    ),
    ExpectationType.LESS: _Comparison(1, "less than {}", lambda sum_, x: sum_ < x),
    ExpectationType.LESS_OR_EQUAL: _Comparison(1, "less than or equal to {}", lambda sum_, x: sum_ <= x),
    ExpectationType.BETWEEN: _Comparison(2, "between {} and {}", lambda sum_, low, high: low <= sum_ <= high),
}
"""Judge each sum alone."""
_AMONG_TWO = {
    ExpectationType.EQUALS_AMONG_TWO: _Comparison(0, "first equals second", same_value),
    ExpectationType.GREATER_AMONG_TWO: _Comparison(0, "first greater than second", lambda a, b: a > b),
    ExpectationType.LESS_AMONG_TWO: _Comparison(0, "first less than second", lambda a, b: a < b),
}
"""Judge the first sum against the second."""
_ABSENT = _Comparison(0, "absent", lambda: False)
"""Judges what there are no sums of."""
_COMPARISONS = {**_ALONE, **_AMONG_TWO, ExpectationType.ABSENT: _ABSENT}
_SHORTEST_WINDOW = 0.1
_ORDERLESS = (ExpectationType.EQUALS, ExpectationType.NOT_EQUALS)


@dataclass(frozen=True, slots=True)
class Expectation:
    """A comparison with its operands. Raises `InvalidArgument` where no sum could ever fulfil it."""

    type: ExpectationType
    operands: tuple[float, ...] = ()
    measure: Measure = Measure.VALUE
    window: float = 0.0
    """Seconds, of a rate."""
    each: bool = False
    """It must hold for every series, not for their sum."""

    def __post_init__(self) -> None:
        wanted = _COMPARISONS[self.type].operands
        if len(self.operands) != wanted:
            raise _invalid("operands", f"{self.type} takes {wanted} operands, not {len(self.operands)}")
        if self.type not in _ORDERLESS and any(operand != operand for operand in self.operands):
            raise _invalid("operands", f"{self.type} NaN never holds: NaN is neither greater nor less")
        if self.type is ExpectationType.BETWEEN and self.operands[0] > self.operands[1]:
            raise _invalid("operands", f"nothing is {self}")
        self._check_measure()

    def _check_measure(self) -> None:
        if self.measure is Measure.RATE and not _SHORTEST_WINDOW <= self.window < float("inf"):
            raise _invalid("window", f"a rate needs a window of at least {_SHORTEST_WINDOW:g}s")
        if self.measure is not Measure.RATE and self.window:
            raise _invalid("window", "has no effect but with a rate")
        if self.each and self.type in _AMONG_TWO:
            raise _invalid("each", f"{self.type} judges two sums, no series")
        if self.type is ExpectationType.ABSENT and (self.each or self.measure is not Measure.VALUE):
            raise _invalid("type", "what is absent has neither series nor a change")

    def __str__(self) -> str:
        words = _COMPARISONS[self.type].words.format(*map(format_value, self.operands))
        match self.measure:
            case Measure.INCREASE:
                words = f"increased by {words}"
            case Measure.RATE:
                words = f"rate over {format_duration(self.window)} {words}"
        return f"each {words}" if self.each else words

    @property
    def needs_series(self) -> bool:
        """Whether sums must tell what they are made of."""
        return self.each or self.measure is not Measure.VALUE

    def check_names(self, names: Sequence[str]) -> None:
        """Raises `InvalidArgument` where this many sums cannot be judged."""
        if self.type in _AMONG_TWO and len(names) != 2:
            raise _invalid("type", f"{self.type} takes exactly two metrics, not {len(names)}")

    def holds(self, sums: Sequence[Sum], absent: AbsentPolicy = AbsentPolicy.WAIT) -> bool:
        """Whether it holds for every sum alone, or for the two together.

        An absent sum is never judged as 0: with WAIT it does not hold, with FAIL `AbsentMetric` is raised,
        with SKIP the others are judged alone. Where SKIP leaves nothing to judge (none is there, or not both
        of two), it does not hold. Nor does it for a change that is not known yet.
        """
        if self.type is ExpectationType.ABSENT:
            return not any(sum_.series for sum_ in sums)
        missing = [sum_.name for sum_ in sums if sum_.value is None]
        if missing and absent is AbsentPolicy.FAIL:
            raise AbsentMetric(missing)
        if missing and absent is AbsentPolicy.WAIT:
            return False
        there = [sum_ for sum_ in sums if sum_.value is not None]
        if self.measure is not Measure.VALUE and any(sum_.change is None for sum_ in there):
            return False
        return self._holds_for([value for sum_ in there for value in self._judged(sum_)])

    def holds_alone(self, value: float) -> bool:
        """Whether it holds for one value; of those that judge each alone."""
        return self.type in _ALONE and _ALONE[self.type].holds(value, *self.operands)

    def _holds_for(self, values: Sequence[float]) -> bool:
        if self.type in _AMONG_TWO:
            return len(values) == 2 and _AMONG_TWO[self.type].holds(*values)
        return bool(values) and all(map(self.holds_alone, values))

    def _judged(self, sum_: Sum) -> Collection[float]:
        if self.measure is Measure.VALUE:
            return sum_.values.values() if self.each else (sum_.value or 0.0,)
        return sum_.changes if self.each else (sum_.change or 0.0,)


def format_value(value: float | None) -> str:
    """A number as a person writes it: `2`, `0.5`, `NaN`, `absent`."""
    if value is None:
        return "absent"
    return "NaN" if value != value else repr(value).removesuffix(".0")


def _invalid(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(
        message, reason="InvalidExpectation", violations=[(f"expectation.{field}", message)]
    )
