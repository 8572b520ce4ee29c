"""Expectations of metric sums, and matchers of labels: frozen values that print themselves.

    workload.wait_sum_metrics(equals(2), "thanos_store_nodes_grpc_connections")
    workload.wait_sum_metrics(greater(0), "http_requests_total", matchers=[LabelMatcher.regex("code", "5..")])

An expectation is judged for every sum alone; the `..._among_two` ones for exactly two sums together. `each`
judges every series instead, `increased_by` how much was counted since the wait began, `rate` how fast:

    workload.wait_sum_metrics(increased_by(greater_or_equal(5)), "http_requests_total")
    workload.wait_sum_metrics(each(rate(greater(100), over=2)), "rows_copied_total")
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from e2e_api.errors import InvalidArgument

Judge = Callable[..., bool]
"""What decides over sums: called with one float for each metric name, returns whether they are as wanted."""


def format_number(value: float) -> str:
    """The shortest text that says the number: `2` rather than `2.0`."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e16:
        return str(int(value))
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(repr(value), repr(value))


def _same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


class ExpectationKind(Enum):
    """How sums are judged: how many operands, how many sums at once, and the judgement."""

    EQUALS = (1, 1, _same)
    NOT_EQUALS = (1, 1, lambda value, operand: not _same(value, operand))
    GREATER = (1, 1, lambda value, operand: value > operand)
    GREATER_OR_EQUAL = (1, 1, lambda value, operand: value >= operand)
    LESS = (1, 1, lambda value, operand: value < operand)
    LESS_OR_EQUAL = (1, 1, lambda value, operand: value <= operand)
    BETWEEN = (2, 1, lambda value, low, high: low <= value <= high)
    EQUALS_AMONG_TWO = (0, 2, lambda *sums: _same(*sums))
    GREATER_AMONG_TWO = (0, 2, lambda first, second: first > second)
    LESS_AMONG_TWO = (0, 2, lambda first, second: first < second)
    ABSENT = (0, 1, lambda value: False)  # noqa: ARG005 - there is no sum of what is absent

    def __init__(self, operands: int, sums: int, judge: Judge) -> None:
        self.operands = operands
        self.sums = sums
        self.judge = judge


@dataclass(frozen=True, slots=True)
class Baseline:
    """What metrics were at a moment, for `increased_by` to count from: `workload.baseline(...)` gives it."""

    workloads: tuple[str, ...]
    names: tuple[str, ...]
    data: bytes = field(repr=False)
    """For the controller."""


class Measure(Enum):
    """What of a sum is judged: itself, how much it has grown since the wait began, or how fast it grows."""

    VALUE = "{}"
    INCREASE = "increased_by({})"
    RATE = "rate({})"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What sums of metrics shall be; call it with the sums to have them judged.

    Made by `equals`, `greater` and their like. Raises InvalidArgument for a wrong number of sums, and for
    what sums alone do not tell: a change, or each series.
    """

    kind: ExpectationKind
    operands: tuple[float, ...] = ()
    measure: Measure = Measure.VALUE
    window: float = 0.0
    """Seconds, of a rate."""
    of_each: bool = False
    """Whether it is about each series, not about their sum."""
    since: Baseline | None = None
    """What an increase is counted from; None: what there is when the wait begins."""

    def check_count(self, names: int) -> None:
        """Raises InvalidArgument when that many metric names cannot be judged."""
        if names < 1 or (self.kind.sums == 2 and names != 2):
            wanted = "exactly two metric names" if self.kind.sums == 2 else "at least one metric name"
            raise InvalidArgument(f"{self} judges {wanted}, not {names}")

    def __call__(self, *sums: float) -> bool:
        """Whether the sums are as expected."""
        self.check_count(len(sums))
        if self.of_each or self.measure is not Measure.VALUE:
            raise InvalidArgument(f"{self} is for waits on workloads' metrics")
        if self.kind.sums == 2:
            return self.kind.judge(*sums)
        return all(self.kind.judge(value, *self.operands) for value in sums)

    def __str__(self) -> str:
        words = f"{self.kind.name.lower()}({', '.join(format_number(value) for value in self.operands)})"
        if self.measure is Measure.RATE:
            words += f", over={format_number(self.window)}"
        words = self.measure.value.format(words)
        return f"each({words})" if self.of_each else words

    __repr__ = __str__


def _expect(kind: ExpectationKind, *operands: float) -> Expectation:
    return Expectation(kind, tuple(float(value) for value in operands))


def equals(value: float) -> Expectation:
    """Each sum equals `value`; NaN equals NaN."""
    return _expect(ExpectationKind.EQUALS, value)


def not_equals(value: float) -> Expectation:
    """Each sum differs from `value`; NaN equals NaN."""
    return _expect(ExpectationKind.NOT_EQUALS, value)


def greater(value: float) -> Expectation:
    """Each sum is greater than `value`."""
    return _expect(ExpectationKind.GREATER, value)


def greater_or_equal(value: float) -> Expectation:
    """Each sum is `value` or greater."""
    return _expect(ExpectationKind.GREATER_OR_EQUAL, value)


def less(value: float) -> Expectation:
    """Each sum is less than `value`."""
    return _expect(ExpectationKind.LESS, value)


def less_or_equal(value: float) -> Expectation:
    """Each sum is `value` or less."""
    return _expect(ExpectationKind.LESS_OR_EQUAL, value)


def between(low: float, high: float) -> Expectation:
    """Each sum lies between `low` and `high`, both included. Raises InvalidArgument if `low` > `high`."""
    if low > high:
        raise InvalidArgument(f"between({format_number(low)}, {format_number(high)}) can never hold")
    return _expect(ExpectationKind.BETWEEN, low, high)


def equals_among_two() -> Expectation:
    """The first of two sums equals the second. The two are of one scrape, but seldom changed at once."""
    return _expect(ExpectationKind.EQUALS_AMONG_TWO)


def greater_among_two() -> Expectation:
    """The first of two sums is greater than the second."""
    return _expect(ExpectationKind.GREATER_AMONG_TWO)


def less_among_two() -> Expectation:
    """The first of two sums is less than the second."""
    return _expect(ExpectationKind.LESS_AMONG_TWO)


def increased_by(expectation: Expectation, *, since: Baseline | None = None) -> Expectation:
    """How much each sum has grown since the wait began is as expected: `increased_by(greater_or_equal(5))`.

    With a baseline, it is how much it has grown since then:

        before = web.baseline("http_requests_total")
        ...
        web.wait_sum_metrics(increased_by(equals(5), since=before), "http_requests_total")

    What counts is what was counted, whatever was reset meanwhile: a series that falls, or a container that is
    started anew, begins at 0 again. What is not there when the wait begins counts from 0. Of a gauge it is
    the difference, which may be below 0.
    """
    return replace(_value(expectation, "increased_by"), measure=Measure.INCREASE, since=since)


def rate(expectation: Expectation, *, over: float = 1.0) -> Expectation:
    """How much each sum has grown per second, in the last `over` seconds, is as expected.

    Nothing is judged before so many seconds of the wait. Resets are seen through, as in `increased_by`.
    """
    if not 0.1 <= over < math.inf:
        raise InvalidArgument(f"rate: expected at least 0.1 seconds for `over`, not {over}")
    return replace(_value(expectation, "rate"), measure=Measure.RATE, window=float(over))


def each(expectation: Expectation) -> Expectation:
    """Each series that matches is as expected, rather than their sum; at least one has to be there."""
    _check(expectation, "each")
    if expectation.kind.sums == 2:
        raise InvalidArgument(f"{expectation} judges two sums, no series")
    return replace(expectation, of_each=True)


def _value(expectation: Expectation, word: str) -> Expectation:
    _check(expectation, word)
    if expectation.measure is not Measure.VALUE or expectation.of_each:
        raise InvalidArgument(f"{word}({expectation}) says two things at once; each(...) goes around it")
    return expectation


def _check(expectation: object, word: str) -> None:
    if not isinstance(expectation, Expectation):
        raise InvalidArgument(f"{word} takes an expectation such as greater(5), not {expectation!r}")


def words_for(judge: Judge) -> str:
    """What an error says that a callable expects: its name, or where it stands.

    Raises InvalidArgument for what can be no expectation at all.
    """
    if not callable(judge):
        raise InvalidArgument(f"expected an expectation such as equals(5), or a callable, not {judge!r}")
    name = getattr(judge, "__qualname__", "") or repr(judge)
    function = name.rpartition("<locals>.")[2]
    code = getattr(judge, "__code__", None)
    if function == "<lambda>" and code is not None:
        function = f"the lambda at {Path(code.co_filename).name}:{code.co_firstlineno}"
    return f"as {function} expects"


class LabelOperator(Enum):
    """Prometheus' operators; a regular expression is RE2's, and must match the whole value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """Selects series by one label, as `name="value"` does in PromQL. An absent label is the empty value."""

    name: str
    operator: LabelOperator
    value: str

    @classmethod
    def equal(cls, name: str, value: str) -> "LabelMatcher":
        """Series whose label is `value`."""
        return cls(name, LabelOperator.EQUAL, value)

    @classmethod
    def not_equal(cls, name: str, value: str) -> "LabelMatcher":
        """Series whose label is anything but `value`."""
        return cls(name, LabelOperator.NOT_EQUAL, value)

    @classmethod
    def regex(cls, name: str, pattern: str) -> "LabelMatcher":
        """Series whose whole label matches `pattern`."""
        return cls(name, LabelOperator.REGEX, pattern)

    @classmethod
    def not_regex(cls, name: str, pattern: str) -> "LabelMatcher":
        """Series whose whole label does not match `pattern`."""
        return cls(name, LabelOperator.NOT_REGEX, pattern)

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator.value}"{escaped}"'

    __repr__ = __str__


LabelMatchers = Mapping[str, str] | Iterable[LabelMatcher]
"""Which series count: `{"label": "value"}` for equality, or a list of `LabelMatcher`. All must match."""


def as_label_matchers(matchers: LabelMatchers | None) -> tuple[LabelMatcher, ...]:
    """The matchers as a tuple; None gives none."""
    if matchers is None:
        return ()
    if isinstance(matchers, Mapping):
        return tuple(LabelMatcher.equal(name, value) for name, value in matchers.items())
    return tuple(matchers)
