"""What somebody may have meant who waits for what is not there. Only looked for when a wait has failed."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from e2e_controller.metrics.matchers import LabelMatcher
from e2e_controller.metrics.page import Found, Page
from e2e_controller.metrics.selection import Selection, Sum, select, series

_FAMILY = re.compile(r"\n[ \t]*+#[ \t]*+TYPE[ \t]++(\S++)[ \t]++(\S++)")
_SAMPLE_NAME = re.compile(r"\n[ \t]*+([a-zA-Z_:][a-zA-Z0-9_:]*+)")
_MOST_NAMES = 2000
_LONGEST_NAME = 200
_MOST_SIMILAR = 5
_SHORTEST_PART = 4
_MOST_ABSENT = 3
_MOST_SERIES = 1000


@dataclass(frozen=True, slots=True)
class LabelMiss:
    """A matcher that no series of an existing metric fulfils."""

    name: str
    matcher: LabelMatcher
    unknown_label: bool
    """No series has that label; otherwise none has a value that matches."""
    there: tuple[str, ...]
    """The labels, or that label's values, that there are: the likeliest first, five at most."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Of one page."""

    similar: tuple[str, ...] = ()
    """Names on the page like one that is absent."""
    label_misses: tuple[LabelMiss, ...] = ()
    sums: tuple[Sum, ...] = ()
    """With their series."""


def hints_of(page: Page, selection: Selection) -> Hints:
    """What a page says about what was selected from it. Raises `ScrapeError`."""
    sums = select(page, selection.names, selection.matchers, selection.value_type, keeps_series=True)
    similar: list[str] = []
    misses: list[LabelMiss] = []
    for name in [sum_.name for sum_ in sums if sum_.value is None][:_MOST_ABSENT]:
        found = label_misses(page, name, selection.matchers)
        misses += found or ()
        similar += similar_names(page, name) if found is None else ()
    return Hints(tuple(dict.fromkeys(similar)), tuple(misses), tuple(sums))


def label_misses(page: Page, name: str, matchers: Sequence[LabelMatcher]) -> list[LabelMiss] | None:
    """Why no series of a metric matches, as far as a single matcher is the reason; None: there is no such."""
    lines = series(page, [name])[:_MOST_SERIES]
    if not lines:
        return None
    misses = []
    for matcher in matchers:
        if any(matcher.matches(line.name, line.labels) for line in lines):
            continue
        values = sorted({value for line in lines if (value := line.labels.get(matcher.name)) is not None})
        there = values or sorted({label for line in lines for label in line.labels})
        meant = matcher.value if values else matcher.name
        misses.append(LabelMiss(name, matcher, not values, tuple(_likeliest(meant, there))))
    return misses


def similar_names(page: Page, name: str) -> list[str]:
    """Names on the page that a misspelt name may have meant, the likeliest first; five at most."""
    text = "\n" + page.text
    families = Found(dict(_FAMILY.findall(text)))
    samples = dict.fromkeys(_SAMPLE_NAME.findall(text))
    known = dict.fromkeys((*families.types, *(families.family_of(sample) for sample in samples)))
    known.pop(name, None)
    candidates = _comparable(name, known)
    parts = [other for other in candidates if _are_parts(name, other)]
    close = difflib.get_close_matches(name, candidates, n=_MOST_SIMILAR, cutoff=0.75)
    return list(dict.fromkeys((*close, *parts)))[:_MOST_SIMILAR]


def _are_parts(name: str, other: str) -> bool:
    """Whether one is within the other, and no syllable that is in many."""
    return min(len(name), len(other)) >= _SHORTEST_PART and (name in other or other in name)


def _likeliest(meant: str, there: Iterable[str]) -> Iterator[str]:
    candidates = _comparable(meant, there)
    close = difflib.get_close_matches(meant, candidates, n=_MOST_SIMILAR, cutoff=0.5)
    yield from list(dict.fromkeys((*close, *sorted(candidates))))[:_MOST_SIMILAR]


def _comparable(meant: str, others: Iterable[str]) -> list[str]:
    # Comparing is slow; names of a very different length are the first to do without.
    short = (other for other in others if len(other) <= _LONGEST_NAME)
    return sorted(short, key=lambda other: abs(len(other) - len(meant)))[:_MOST_NAMES]
