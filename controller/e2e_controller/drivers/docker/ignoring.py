"""What of a folder an image is built of: all but what `.dockerignore` names.

As the engine's client has it, but for its regular expressions: those may take years, and stop all threads.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docker.utils.build import Pattern, PatternMatcher
from docker.utils.fnmatch import translate

from e2e_api.patterns import compile_pattern

_LONGEST = 2**20
"""Bytes of a file of patterns."""


class _Line(Pattern):
    """One pattern. Raises ValueError where it is none."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._compiled = compile_pattern(translate(self.cleaned_pattern.lower()))

    def match(self, path: str) -> bool:
        """Whether it is about the path."""
        return self._compiled.matches_all_of(path.lower().encode(errors="replace").decode())


class _Lines(PatternMatcher):
    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__(())
        own: list[Any] = [line for line in map(_Line, lines) if line.dirs]
        self.patterns = [*own, *self.patterns]  # those of any context are the last


def read_ignored(folder: Path) -> tuple[str, ...]:
    """The patterns of the folder's `.dockerignore`. Raises OSError, ValueError."""
    file = folder / ".dockerignore"
    if not file.is_file():
        return ()
    with file.open("rb") as opened:
        data = opened.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise ValueError(f"{file} has more than {_LONGEST} bytes")
    lines = map(str.strip, data.decode().splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def paths_in(folder: Path, ignored: Sequence[str], dockerfile: str) -> list[str]:
    """Files and folders below the folder, sorted, without what is ignored. Raises OSError, ValueError."""
    return sorted(set(_Lines([*ignored, f"!{dockerfile}"]).walk(str(folder))))
