"""A metrics page in Prometheus' text format or OpenMetrics: find lines fast, parse only those.

A page may have 100,000 series of which a wait needs one, many times a second. So one regular expression
runs over the whole text for the asked names, and only what it finds is parsed, by a second one. This takes
both formats as they come: unlike prometheus_client's parsers (the oracle in the tests, at 22 microseconds a
line) it neither refuses a whole family for a histogram that is inconsistent for a moment or a counter that is
NaN, nor hides which line is bad.

A large page is worked on in a thread, for a bounded time. It is searched by windows, so that the interpreter
never stays within one search for long.
"""

import codecs
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from e2e_controller.httpclient import shorten

SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created", "_gsum", "_gcount", "_info")
"""What a sample's name may have beyond its family's."""

_STRING = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_TYPE = r'\#[ \t]*+TYPE[ \t]++"?(?P<typed>{name})"?[ \t]++(?P<type>\S++)'
_ANY_TYPE = _TYPE.format(name=r'[^\s"]++')
_EVERY_LINE = re.compile(rf"\n[ \t]*+(?:{_ANY_TYPE}|(?P<line>[^#\s][^\n]*+))")
_SAMPLE = re.compile(
    r"""
    (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)?+ [ \t]*+
    (?:\{ (?P<labels>[^"{}]*+ (?:"[^"\\]*+(?:\\.[^"\\]*+)*+" [^"{}]*+)*+ )\})?+ [ \t]*+
    (?P<value>[+-]?+(?:[0-9.][0-9.eE+-]*+|(?i:nan|inf(?:inity)?+)))
    (?:[ \t]++[0-9.eE+-]++)?+   # the timestamp
    (?:[ \t]++\#.*)?+           # the exemplar
    [ \t\r]*+ """,
    re.VERBOSE,
)
_LABEL = re.compile(
    rf"[ \t]*+(?:(?:([a-zA-Z_:][a-zA-Z0-9_:]*+)|{_STRING})[ \t]*+=[ \t]*+)?+{_STRING}[ \t]*+(?:,[ \t]*+|$)"
)
_ESCAPE = re.compile(r'\\([\\n"])')
_LINE = re.compile(r"\n[^\S\n]*+(\S[^\n]*+)")
_METADATA = re.compile(r"#[ \t]*(?:HELP|TYPE|UNIT|EOF)\b")
_LINES_LOOKED_AT = 100
_WINDOW = 256 * 2**10
_LONGEST_LINE = 2**20
_DECODED_AT_ONCE = 2**20
QUICK = 64 * 2**10
"""Characters of a page that is worked on at once, within the event loop: some milliseconds."""
LONGEST_WORK = 10.0
"""Seconds."""


class ScrapeError(Exception):
    """There is no page, or a line that was asked for cannot be understood. The message says it all."""


class Origin(NamedTuple):
    """Which start of which container served a page: what was counted before it is lost."""

    container: str
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """What a workload served."""

    text: str
    content_type: str = ""
    origin: Origin | None = field(default=None, compare=False)

    @property
    def is_quick(self) -> bool:
        """Whether working on it takes so little time that no thread is worth its while."""
        return len(self.text) <= QUICK


class Patience:
    """Bounds the time that is spent on a page."""

    def __init__(self, seconds: float = LONGEST_WORK) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """Raises `ScrapeError` once it is over."""
        if time.monotonic() > self._end:
            raise ScrapeError(f"the metrics page takes more than {self._seconds:g}s to read: it is too large")


class Series(NamedTuple):
    """One sample line of a page."""

    family: str
    name: str
    labels: dict[str, str]
    value: float


class RawLine(NamedTuple):
    """A sample line that is not parsed yet. `offset` is where its text begins, for its number."""

    name: str
    offset: int
    text: str


@dataclass(slots=True)
class Found:
    """What a page says about some names."""

    types: dict[str, str] = field(default_factory=dict)
    """Type (`counter`, ...) of each family that declares one."""
    lines: dict[str, list[RawLine]] = field(default_factory=dict)
    """Sample lines by sample name."""

    def family_of(self, name: str) -> str:
        """The family that a sample of that name belongs to."""
        if name in self.types:
            return name
        bases = (name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix))
        return next((base for base in bases if base in self.types), name)


def decode(data: bytes | bytearray) -> str:
    """The text of a page; what is no UTF-8 is replaced. Lets other threads go on in between."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    starts = range(0, len(data), _DECODED_AT_ONCE)
    pieces = [decoder.decode(data[start : start + _DECODED_AT_ONCE]) for start in starts]
    return "".join([*pieces, decoder.decode(b"", final=True)]).removeprefix("\ufeff")


def find(page: Page, names: Sequence[str], patience: Patience) -> Found:
    """The lines of these families, or of these sample names. Raises `ScrapeError`."""
    found = Found()
    for match in _search(_pattern(tuple(names)), page, patience):
        typed, kind, name, quoted = match["typed"], match["type"], match["name"], match["quoted"]
        if typed is not None:
            found.types.setdefault(typed, kind.lower())
        else:
            raw = RawLine(name or quoted, match.start("line") - 1, match["line"])
            found.lines.setdefault(raw.name, []).append(raw)
    return found


def find_all(page: Page, patience: Patience) -> tuple[dict[str, str], list[RawLine]]:
    """The types on a page, and all its sample lines (with no name yet). Raises `ScrapeError`."""
    matches = list(_search(_EVERY_LINE, page, patience))
    types: dict[str, str] = {}
    for match in matches:
        if match["typed"] is not None:
            types.setdefault(match["typed"], match["type"].lower())
    return types, [RawLine("", m.start("line") - 1, m["line"]) for m in matches if m["line"] is not None]


def parse(page: Page, raw: RawLine) -> tuple[str, dict[str, str], float]:
    """Name, labels and value of a line. Raises `ScrapeError` that names the line."""
    match = _SAMPLE.fullmatch(raw.text)
    try:
        if match is None:
            raise ValueError
        labels = _labels(match["labels"]) if match["labels"] else {}
        name = match["name"]
        quoted = labels.pop("__name__", None)
        if (name is None) == (quoted is None):
            raise ValueError
        return name or quoted or "", labels, float(match["value"])
    except ValueError:
        number = page.text.count("\n", 0, raw.offset) + 1
        message = f"line {number} of the metrics page is not a metric: {shorten(raw.text)}"
        raise ScrapeError(message) from None


def ensure_metrics(page: Page) -> None:
    """Raises `ScrapeError` if this is some other kind of page: there are lines, and none like a metric's."""
    bad = None
    for looked_at, match in enumerate(_LINE.finditer("\n" + page.text)):
        line = match[1].rstrip()
        if _METADATA.match(line) or _SAMPLE.fullmatch(line):
            return
        if bad is None and not line.startswith("#"):
            bad = match
        if looked_at == _LINES_LOOKED_AT:
            break
    if bad is not None:
        number = page.text.count("\n", 0, bad.start(1) - 1) + 1
        kind = page.content_type or "no content type"
        raise ScrapeError(f"not a metrics page: {kind}, line {number} is: {shorten(bad[1])}")


def _search(pattern: re.Pattern[str], page: Page, patience: Patience) -> Iterator[re.Match[str]]:
    """All matches of a pattern that begins with a newline and does not go beyond its line."""
    # The leading newline is what makes the search fast: it is the literal that each match begins with.
    text = "\n" + page.text
    start = 0
    while start < len(text):
        patience.check()
        found = text.find("\n", start + _WINDOW, start + _WINDOW + _LONGEST_LINE)
        if found < 0 and len(text) > start + _WINDOW + _LONGEST_LINE:
            number = text.count("\n", 0, start + _WINDOW)
            raise ScrapeError(f"line {number} of the metrics page is longer than {_LONGEST_LINE} characters")
        end = found if found >= 0 else len(text)
        yield from pattern.finditer(text, start, end)
        start = end


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    name = f"(?:{'|'.join(map(re.escape, names))})(?:{'|'.join(SUFFIXES)})?"
    bare = rf"(?P<name>{name})(?=[ \t{{])"
    quoted = rf'\{{[ \t]*+"(?P<quoted>{name})"(?=[ \t,}}])'
    return re.compile(rf"\n[ \t]*+(?:{_TYPE.format(name=name)}|(?P<line>(?:{bare}|{quoted})[^\n]*+))")


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            if text[position:].isspace():
                break
            raise ValueError
        name, quoted, value = match.groups()
        if name is None:
            # A text without a name is the metric's own, in quotes because it has unusual letters.
            name = "__name__" if quoted is None else _unescape(quoted)
        if name in labels:
            raise ValueError
        labels[name] = _unescape(value)
        position = match.end()
    return labels


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
