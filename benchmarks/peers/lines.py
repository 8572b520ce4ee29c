"""Samples of several contenders as lines, each beside the floor of the same rounds."""

from collections.abc import Mapping, Sequence

from benchmarks.figures import pairwise_ratios
from benchmarks.report import Findings, Line, Unit
from e2e.statistics import median

FLOOR = "floor"


def add(
    findings: Findings,
    what: str,
    key: str,
    unit: Unit,
    found: Mapping[str, Sequence[float]],
    *,
    ratios: bool = True,
) -> None:
    """A line for everybody who has samples; they are kept as `<key>_<contender>_<unit>`.

    Without ratios where the floor is no work of the engine's, but how often somebody looks.
    """
    base = found.get(FLOOR, ()) if ratios else ()
    for name, samples in found.items():
        if not samples:
            continue
        beside = base if name != FLOOR and all(base) else ()
        rounds = min(len(samples), len(beside))
        own_name = _name(key, name, unit)
        findings.keep(own_name, samples, _name(key, FLOOR, unit) if rounds else None)
        findings.add(
            Line(
                what=what,
                contender=name,
                samples=own_name,
                value=median(samples),
                unit=unit,
                count=len(samples),
                spread=(min(samples), max(samples)) if len(samples) > 1 else None,
                floor=median(beside) if rounds else None,
                ratio=median(pairwise_ratios(samples[:rounds], beside[:rounds])) if rounds else None,
            )
        )


def _name(key: str, contender: str, unit: Unit) -> str:
    return f"{key}_{contender.replace(' ', '_')}_{unit}"
