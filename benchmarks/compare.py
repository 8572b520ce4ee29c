"""Says of each figure of two runs whether the newer is faster or slower, or that nobody can tell.

`python -m benchmarks.compare OLD.json NEW.json`. Where the engine's own floor was measured in the same
rounds, the ratios to it are compared, so that a slower machine does not look like a slower e2e. Where it was
not, the values are, and only a greater change counts. Exit codes: 0 nothing is slower; 1 something is; 2
wrong usage, or files that cannot be compared.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.figures import pairwise_ratios
from benchmarks.report import FORMAT
from benchmarks.table import make_console
from e2e.statistics import Change, Verdict, change

TOLERANCE, TOLERANCE_WITHOUT_FLOOR = 0.05, 0.20
SLOWER, UNUSABLE = 1, 2
OURS = ("", "e2e")
"""Contenders whose figures count; a peer that got slower is none of our business."""
_CLASS = ("cores", "memory_mb", "kernel", "engine", "python")
_STYLES: Mapping[Verdict, str] = {"faster": "green", "slower": "bold red", "cannot tell": "dim"}
Document = Mapping[str, Any]


class UnusableError(Exception):
    """A file is no report of this format."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of both runs."""

    what: str
    by: str
    """What is compared: ratios to the floor, or values."""
    counts: tuple[int, int]
    change: Change
    verdict: Verdict


def main(arguments: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    given = parser.parse_args(arguments)
    console = make_console()
    try:
        old, new = read(given.old), read(given.new)
    except UnusableError as error:
        console.print(Text(str(error), style="bold red"))
        return UNUSABLE
    found = list(compare(old, new))
    for text in differences(old, new):
        console.print(Text(text, style="yellow"))
    console.print(_table(found))
    slower = [each.what for each in found if each.verdict == "slower"]
    console.print(f"{len(found)} figures, {len(slower)} slower" if found else "no figure is in both")
    return SLOWER if slower else 0


def read(path: Path) -> Document:
    """A report. Raises UnusableError."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UnusableError(f"{path}: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UnusableError(f"{path}: not a benchmark's report of format {FORMAT}")
    return document


def differences(old: Document, new: Document) -> Iterator[str]:
    """What makes a comparison doubtful."""
    for name in _CLASS:
        before, after = old["machine"].get(name), new["machine"].get(name)
        if before != after:
            yield f"not the same {name}: {before} before, {after} now"
    before, after = old["options"].get("image"), new["options"].get("image")
    if before != after:
        yield f"not the same image: {before} before, {after} now"


def compare(old: Document, new: Document) -> Iterator[Comparison]:
    """Every figure that is ours and in both."""
    for name, after in new["scenarios"].items():
        before = old["scenarios"].get(name)
        if before is not None:
            yield from _samples(name, before, after)
            yield from _counts(name, before, after)


def _samples(scenario: str, old: Document, new: Document) -> Iterator[Comparison]:
    others = {line["samples"] for line in new["lines"] if line.get("contender", "") not in OURS}
    for name in new["samples"]:
        if name in others or "floor" in name or name not in old["samples"]:
            continue
        by_floor = all(_floor(run, name) for run in (old, new))
        before, after = (_figures(run, name, by_floor=by_floor) for run in (old, new))
        if not before or not after or min(*before, *after) <= 0:
            continue
        found = change(before, after)
        yield Comparison(
            what=f"{scenario}: {name}",
            by="ratio to the floor" if by_floor else "value",
            counts=(len(before), len(after)),
            change=found,
            verdict=found.verdict(TOLERANCE if by_floor else TOLERANCE_WITHOUT_FLOOR),
        )


def _floor(run: Document, name: str) -> Sequence[float]:
    floor = run["samples"][name].get("floor")
    return run["samples"][floor]["values"] if floor else ()


def _figures(run: Document, name: str, *, by_floor: bool) -> Sequence[float]:
    values: Sequence[float] = run["samples"][name]["values"]
    if not by_floor:
        return values
    floor = _floor(run, name)
    rounds = min(len(values), len(floor))
    return pairwise_ratios(values[:rounds], floor[:rounds])


def _counts(scenario: str, old: Document, new: Document) -> Iterator[Comparison]:
    """Such as calls to the engine: they vary little, so one of each is enough."""
    before = {line["what"]: line["value"] for line in old["lines"] if _is_count(line)}
    for line in filter(_is_count, new["lines"]):
        value = before.get(line["what"])
        if value is None:
            continue
        ratio = line["value"] / value if value else (1.0 if not line["value"] else float("inf"))
        found = Change(ratio, ratio, ratio)
        yield Comparison(f"{scenario}: {line['what']}", "count", (1, 1), found, found.verdict(TOLERANCE))


def _is_count(line: Document) -> bool:
    return line["unit"] == "" and not line.get("contender")


def _table(found: Sequence[Comparison]) -> Table:
    table = Table(title="new beside old", title_justify="left", pad_edge=False)
    table.add_column("what")
    table.add_column("by")
    for heading in ("n", "new / old", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for each in found:
        table.add_row(
            each.what,
            each.by,
            "{}, {}".format(*each.counts),
            f"{each.change.ratio:.2f} x",
            _interval(each),
            Text(each.verdict, style=_STYLES[each.verdict]),
        )
    return table


def _interval(each: Comparison) -> str:
    if each.by == "count":
        return ""
    if each.change.least == 0:
        return "too few rounds"
    return f"{each.change.least:.2f}-{each.change.most:.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
