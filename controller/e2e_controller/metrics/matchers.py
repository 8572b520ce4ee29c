"""Label matchers with Prometheus' semantics.

Regular expressions are RE2's, and anchored at both ends; a missing label equals "".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from e2e_api.errors import InvalidArgument
from e2e_api.patterns import Pattern, compile_pattern


class MatchType(StrEnum):
    """How a label's value is compared; Prometheus' operators."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """A condition on one label; the label `__name__` is the sample's name.

    Raises `InvalidArgument` where the value is not a regular expression.
    """

    name: str
    type: MatchType
    value: str
    _pattern: Pattern | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.type in (MatchType.REGEX, MatchType.NOT_REGEX):
            object.__setattr__(self, "_pattern", _compiled(self.value))

    @property
    def is_regular_expression(self) -> bool:
        """Whether matching costs more than a comparison."""
        return self._pattern is not None

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.type}"{escaped}"'

    def matches(self, sample_name: str, labels: Mapping[str, str]) -> bool:
        """Whether a series fulfils the condition."""
        actual = sample_name if self.name == "__name__" else labels.get(self.name, "")
        if self._pattern is None:
            return (actual == self.value) == (self.type is MatchType.EQUAL)
        return self._pattern.matches_all_of(actual) == (self.type is MatchType.REGEX)


def _compiled(pattern: str) -> Pattern:
    try:
        return compile_pattern(pattern)
    except ValueError as error:
        raise InvalidArgument(f"{pattern[:200]!r} is {error}", reason="InvalidMatcher") from error
