"""Samples and curves as pictures: SVG that needs nothing else."""

from collections.abc import Iterator

from benchmarks.report import Findings
from e2e.benchmark import charts


def of(name: str, found: Findings) -> Iterator[str]:
    """Every picture of a scenario: its curves, then contenders side by side, then all other samples."""
    for title, curves in found.curves.items():
        yield charts.svg(charts.lines(title, curves, across="number", logarithmic=True))
    shown: set[str] = set()
    for what in dict.fromkeys(line.what for line in found.lines if line.samples):
        lines = [line for line in found.lines if line.what == what and line.samples]
        shown.update(line.samples for line in lines)
        samples = {line.contender: found.samples[line.samples] for line in lines}
        yield charts.svg(charts.boxes(f"{what}, {lines[0].unit}", samples))
    rest = {key: samples for key, samples in found.samples.items() if key not in shown and samples}
    for unit in dict.fromkeys(key.rpartition("_")[2] for key in rest):
        alike = {key: rest[key] for key in rest if key.rpartition("_")[2] == unit}
        yield charts.svg(charts.boxes(f"{name}, {unit}", alike))
