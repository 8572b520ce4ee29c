"""Samples and curves as pictures: SVG that needs nothing else."""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

import pygal

from benchmarks.report import Curves, Findings
from benchmarks.table import figure

# pygal has every import of this process ask it for plug-ins, in a way that Python warns of.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]

_WIDE = 20.0
"""Above this ratio of the largest to the least, a scale of equal steps would hide the least."""
_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)
_WIDTH, _HEIGHT = 720, 320
_COLUMNS, _ROW = 2, 22
_STYLE = pygal.style.CleanStyle(legend_font_size=11, title_font_size=14, label_font_size=10)


def of(name: str, found: Findings) -> Iterator[str]:
    """Every picture of a scenario: its curves, then contenders side by side, then all other samples."""
    for title, curves in found.curves.items():
        yield _curves(title, curves)
    shown: set[str] = set()
    for what in dict.fromkeys(line.what for line in found.lines if line.samples):
        lines = [line for line in found.lines if line.what == what and line.samples]
        shown.update(line.samples for line in lines)
        boxes = {line.contender: found.samples[line.samples] for line in lines}
        yield _boxes(f"{what}, {lines[0].unit}", boxes)
    rest = {key: samples for key, samples in found.samples.items() if key not in shown and samples}
    for unit in dict.fromkeys(key.rpartition("_")[2] for key in rest):
        yield _boxes(f"{name}, {unit}", {key: rest[key] for key in rest if key.rpartition("_")[2] == unit})


def _boxes(title: str, samples: Mapping[str, Sequence[float]]) -> str:
    """The box holds the middle half, its whiskers all."""
    everything = [value for values in samples.values() for value in values]
    chart = pygal.Box(box_mode="extremes", title=title, logarithmic=_wide(everything), **_look(len(samples)))
    for name, values in samples.items():
        chart.add(name, list(values))
    return _rendered(chart)


def _curves(title: str, curves: Curves) -> str:
    everything = [value for points in curves.values() for point in points for value in point]
    chart = pygal.XY(title=title, logarithmic=_wide(everything), **_look(len(curves)))
    for name, points in curves.items():
        chart.add(name, points)
    return _rendered(chart)


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _look(series: int) -> Mapping[str, object]:
    """The legend takes its own place, so the picture is as much higher."""
    return {
        "width": _WIDTH,
        "height": _HEIGHT + _ROW * math.ceil(series / _COLUMNS),
        "js": [],  # nothing is fetched when the page is opened
        "truncate_legend": -1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": _COLUMNS,
        "value_formatter": lambda value: figure(value, ""),
        "style": _STYLE,
    }


def _rendered(chart: pygal.graph.graph.Graph) -> str:
    picture = str(chart.render(is_unicode=True, disable_xml_declaration=True))
    return _SCRIPT.sub("", picture)  # it would only serve a script that is not there
