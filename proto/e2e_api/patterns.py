r"""Regular expressions in RE2's syntax, as Prometheus and Go have them.

Matching takes time in proportion to the text, whatever the pattern: no back-references, no look-around.
`.` matches a newline too; `\d`, `\s`, `\w` and `\b` know ASCII only.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

MAX_LENGTH = 4_096
"""Characters of a pattern."""
MAX_SIZE = 10_000
"""Steps of a compiled pattern; the time for each letter of a text grows with them."""
_MAX_MEMORY = 2**20


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled regular expression. Matching lets other threads go on."""

    text: str
    size: int
    """Steps of the program that it compiles to."""
    _compiled: Any = field(repr=False, compare=False)

    def is_found_in(self, text: str) -> bool:
        """Whether a part of the text matches."""
        return self._compiled.search(text) is not None

    def matches_all_of(self, text: str) -> bool:
        """Whether the text matches from its beginning to its end."""
        return self._compiled.fullmatch(text) is not None


@lru_cache(maxsize=128)
def compile_pattern(text: str) -> Pattern:
    """The pattern. Raises ValueError that says why it is none, or why it is refused."""
    import re2  # here: most who import the manifests' kinds compile no pattern

    if len(text) > MAX_LENGTH:
        raise ValueError(f"a regular expression of {len(text)} characters; {MAX_LENGTH} is the most")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.never_capture = True
    options.max_mem = _MAX_MEMORY
    try:
        compiled = re2.compile(text, options)
    except (re2.error, UnicodeError) as error:
        raise ValueError(f"not a regular expression in RE2's syntax: {_reason(error)}") from error
    if compiled.programsize > MAX_SIZE:
        raise ValueError("a regular expression that is too large once its repetitions are written out")
    return Pattern(text, compiled.programsize, compiled)


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(error)
