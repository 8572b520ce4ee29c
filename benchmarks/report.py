"""What scenarios find: lines for the table, and raw samples for the file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.budgets import Budget
from e2e.statistics import Spread

Unit = Literal["s", "ms", "MB", "%", ""]
Curves = dict[str, list[tuple[float, float]]]
"""Points by name: how many, and what it took."""
FORMAT = 1
"""Of the JSON document; another number means that older files cannot be compared."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. All figures but `ratio` are in `unit`."""

    what: str
    value: float
    unit: Unit
    count: int | None = None
    """Of the samples behind it."""
    spread: tuple[float, float] | None = None
    """The least and the most of them."""
    floor: float | None = None
    """What the engine itself needs for the same."""
    ratio: float | None = None
    budget: Budget | None = None
    judged: Literal["value", "ratio"] = "value"
    """What the budget is about."""
    note: str = ""
    contender: str = ""
    """Who it is about, where there are several."""
    samples: str = ""
    """The name of those behind it, where several contenders have them."""

    @property
    def words(self) -> str:
        """What it is about, in one."""
        what = f"{self.what}: {self.contender}" if self.contender else self.what
        return f"{what} ({self.note})" if self.note else what

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None where there is none."""
        figure = self.value if self.judged == "value" else self.ratio
        return None if self.budget is None or figure is None else figure <= self.budget.limit


@dataclass(slots=True)
class Findings:
    """All that one scenario gives. Samples are in the unit that their name ends with."""

    lines: list[Line] = field(default_factory=list)
    samples: dict[str, list[float]] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)
    """By name of samples: those of the engine itself, taken in the same rounds."""
    curves: dict[str, Curves] = field(default_factory=dict)
    """By title, of what grows with a number of things."""
    details: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    """Why something was left out."""

    def say(self, text: str) -> None:
        """Adds to the note."""
        self.note = "; ".join(filter(None, (self.note, text)))

    def add(self, *lines: Line) -> None:
        """Adds lines."""
        self.lines += lines

    def keep(self, name: str, samples: Sequence[float], floor: str | None = None) -> list[float]:
        """Keeps raw samples; gives them back. `floor` names those to compare with, round by round."""
        self.samples[name] = list(samples)
        if floor is not None:
            self.floors[name] = floor
        return self.samples[name]


@dataclass(slots=True)
class Report:
    """One run."""

    machine: Mapping[str, Any]
    options: Mapping[str, Any]
    findings: dict[str, Findings] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Scenarios that broke, and how."""

    def document(self) -> dict[str, Any]:
        """For the file."""
        return {
            "format": FORMAT,
            "machine": dict(self.machine),
            "options": dict(self.options),
            "scenarios": {name: _findings_document(found) for name, found in self.findings.items()},
            "failures": self.failures,
        }

    def write(self, folder: Path, name: str) -> Path:
        """Writes `<name>.json`, and gives its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        path.write_text(json.dumps(self.document(), indent=1, sort_keys=True) + "\n")
        return path


def _findings_document(found: Findings) -> dict[str, Any]:
    return {
        "lines": [{**asdict(line), "met": line.met} for line in found.lines],
        "samples": {
            name: {
                "values": values,
                **(asdict(Spread.of(values)) if values else {}),
                **({"floor": found.floors[name]} if name in found.floors else {}),
            }
            for name, values in found.samples.items()
        },
        "curves": found.curves,
        "details": found.details,
        "note": found.note,
    }
