"""Whether one of two ways to do a thing takes less than the other, and how sure that is."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from e2e.benchmark.report import FORMAT, Report, _finite, write
from e2e.statistics import Change, Spread, Verdict, change
from e2e_api.errors import InvalidArgument

Run = Mapping[str, float]
"""The figures of one repetition, by name."""
TOLERANCE = 0.05
SECONDS = "seconds"
_MANY = "each verdict is 95 % sure by itself: of twenty figures that are the same, one may differ by chance"
_OPPOSITE: Mapping[Verdict, Verdict] = {"faster": "slower", "slower": "faster", "cannot tell": "cannot tell"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both."""

    name: str
    a: tuple[float, ...]
    """Of each repetition, in the order in which they were made."""
    b: tuple[float, ...]
    change: Change | None
    """The ratio of b to a; None where a value is below 0, or no number, so that there is no ratio."""
    noise: float
    """How far the middle half of the repetitions lies from their median, as a part of it; of a or of b, the
    greater."""
    verdict: Verdict
    """Of b beside a. `faster` is less; of a figure of which more is better, more."""

    def __str__(self) -> str:
        """In one line."""
        if self.change is None:
            return f"{self.name}: cannot tell, as a value is below 0, or no number"
        interval = "too few repetitions to be sure of anything"
        if self.change.is_sure:
            interval = f"95 %: {self.change.least:.2f}-{self.change.most:.2f}"
        return f"{self.name}: {self.verdict}: {self.change.ratio:.2f} x, {interval}; noise {self.noise:.0%}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of two ways, `a` and `b`, by repetitions of both."""

    names: tuple[str, str]
    """What a and b are called."""
    figures: Mapping[str, Compared]
    """By name; the one that the verdict is about is the first."""
    tolerance: float
    """A change by no more than this part does not matter."""
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def of(
        cls,
        a: Sequence[Run | Report],
        b: Sequence[Run | Report],
        *,
        names: tuple[str, str] = ("a", "b"),
        tolerance: float = TOLERANCE,
        higher_is_better: Collection[str] = (),
        about: str = "",
    ) -> "Comparison":
        """Of repetitions that were made; they should have been made by turns, as `compare` makes them.

        Args:
            a: figures by name, or reports, one for each repetition.
            b: the same of the other.
            names: what to call them.
            tolerance: a change by no more than this part does not matter.
            higher_is_better: figures of which more is better, such as requests per second; a query's name
                stands for all of its series.
            about: the figure that the verdict is about, such as `web: cpu_seconds`; otherwise the seconds,
                where there are such, else the first.

        Raises InvalidArgument where there are none, or they have no figure in common, or not that one.
        """
        if names[0] == names[1]:
            raise InvalidArgument(f"names: expected two that differ, not {names[0]!r} twice")
        runs = [[run.figures if isinstance(run, Report) else run for run in side] for side in (a, b)]
        if not all(runs):
            raise InvalidArgument("a comparison needs at least one repetition of both")
        common = [name for name in runs[0][0] if all(name in run for side in runs for run in side)]
        if not common:
            raise InvalidArgument("no figure is in every repetition of both")
        seen = dict.fromkeys(name for side in runs for run in side for name in run)
        lacking = [name for name in seen if name not in common]
        notes = [f"not in every repetition, so left out: {', '.join(lacking)}"] if lacking else []
        if len(common) > 1:
            notes.append(_MANY)
        main = about or (SECONDS if SECONDS in common else common[0])
        if main not in common:
            raise InvalidArgument(
                f"about: no figure {main!r} is in every repetition of both; there are {common}"
            )
        compared = {}
        for name in (main, *(other for other in common if other != main)):
            of_a, of_b = ([run[name] for run in side] for side in runs)
            found = _compared(name, of_a, of_b, tolerance)
            better = name in higher_is_better or name.partition(" (")[0] in higher_is_better
            compared[name] = replace(found, verdict=_OPPOSITE[found.verdict]) if better else found
        return cls(names, compared, tolerance, tuple(notes))

    @property
    def main(self) -> Compared:
        """The figure that the verdict is about."""
        return next(iter(self.figures.values()))

    @property
    def verdict(self) -> Verdict:
        """Of b beside a: `faster`, `slower` or `cannot tell`."""
        return self.main.verdict

    @property
    def noise(self) -> float:
        """Of the figure that the verdict is about."""
        return self.main.noise

    def to_json(self) -> str:
        """All samples and verdicts."""
        return (
            json.dumps(_finite({"format": FORMAT, "verdict": self.verdict, **asdict(self)}), indent=1) + "\n"
        )

    def to_markdown(self) -> str:
        """A table for a README or a comment."""
        from e2e.benchmark import comparison_texts

        return comparison_texts.markdown_of(self)

    def to_html(self) -> str:
        """A page with plots that needs nothing else. Raises InvalidArgument without the extra `report`."""
        from e2e.benchmark import comparison_texts

        return comparison_texts.page_of(self)

    def write(self, folder: str | Path, name: str = "") -> Path:
        """Writes `<name>.json`, `.md` and `.html`, as `Report.write` does."""
        return write(self, Path(folder), name or "-".join(self.names))

    def __str__(self) -> str:
        """The verdict, with what it rests on."""
        a, b = self.names
        count = f"{len(self.main.a)} and {len(self.main.b)} repetitions"
        return f"{b} beside {a}, {count}: {self.main}"


def figures_of(result: Any, seconds: float) -> Run:
    """What a repetition that gave `result` is judged by. Raises InvalidArgument for what is no figure."""
    if result is None:
        return {SECONDS: seconds}
    if isinstance(result, Report):
        return result.figures
    if isinstance(result, int | float):
        return {"value": float(result)}
    if isinstance(result, Mapping) and all(isinstance(value, int | float) for value in result.values()):
        return {str(name): float(value) for name, value in result.items()}
    raise InvalidArgument(
        "what is compared gives nothing (then its time counts), a number, numbers by name, or a Report; "
        f"not {type(result).__name__}"
    )


def _compared(name: str, a: Sequence[float], b: Sequence[float], tolerance: float) -> Compared:
    if not all(math.isfinite(sample) and sample >= 0 for sample in (*a, *b)):
        return Compared(name, tuple(a), tuple(b), None, 0.0, "cannot tell")
    found = change(a, b)
    noise = max(_noise(a), _noise(b))
    return Compared(name, tuple(a), tuple(b), found, noise, found.verdict(tolerance))


def _noise(samples: Sequence[float]) -> float:
    spread = Spread.of(samples)
    width = (spread.third_quartile - spread.first_quartile) / 2
    return width / spread.median if spread.median else math.inf if width else 0.0
