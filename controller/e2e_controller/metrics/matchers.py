r"""Label matchers with Prometheus' semantics.

Regular expressions are anchored at both ends, and a missing label equals "". They are written in RE2's
syntax and run by Python's `re`. Translated: `\z`, `\Q...\E`, `\x{10FFFF}`, `[[:alpha:]]`, `(?<name>...)`.
As in Prometheus `.` matches a newline, and `\d`, `\s`, `\w`, `\b` know ASCII only. What differs from RE2:
- refused: `\pN`, `\C`, `(?U)`, and flags such as `(?i)` anywhere but at the beginning;
- accepted in addition: back-references and look-around;
- `(?i)` ignores the case of ASCII letters only;
- matching backtracks, so that a pattern like `(a+)+b` can take long.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from e2e_api.errors import InvalidArgument

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_RE2_ONLY = re.compile(
    r"\\Q(?P<literal>.*?)(?:\\E|$)|\\x\{(?P<code>[0-9a-fA-F]{1,6})\}|(?P<end>\\z)|(?P<escape>\\.)"
    r"|\[:(?P<class>[a-z]+):\]|\(\?<(?P<group>[A-Za-z_]\w*)>",
    re.DOTALL,
)


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
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.type in (MatchType.REGEX, MatchType.NOT_REGEX):
            object.__setattr__(self, "_pattern", compile_re2(self.value))

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.type}"{escaped}"'

    def matches(self, sample_name: str, labels: Mapping[str, str]) -> bool:
        """Whether a series fulfils the condition."""
        actual = sample_name if self.name == "__name__" else labels.get(self.name, "")
        if self._pattern is None:
            return (actual == self.value) == (self.type is MatchType.EQUAL)
        return (self._pattern.fullmatch(actual) is not None) == (self.type is MatchType.REGEX)


@lru_cache(maxsize=256)
def compile_re2(pattern: str) -> re.Pattern[str]:
    """An RE2 pattern for `re`; see the module for what differs. Raises `InvalidArgument`."""
    try:
        with warnings.catch_warnings():
            # `[[`, `--` and the like may change their meaning in a later Python; here they are plain.
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(_RE2_ONLY.sub(_translate, pattern), re.ASCII | re.DOTALL)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(
            f"{pattern[:200]!r} is not a regular expression: {error}", reason="InvalidMatcher"
        ) from error


def _translate(match: re.Match[str]) -> str:
    if match["literal"] is not None:
        return re.escape(match["literal"])
    if match["code"] is not None:
        return re.escape(chr(int(match["code"], 16)))
    if match["end"] is not None:
        return r"\Z"
    if match["class"] is not None:
        return _CLASSES.get(match["class"], match[0])
    if match["group"] is not None:
        return f"(?P<{match['group']}>"
    return match[0]
