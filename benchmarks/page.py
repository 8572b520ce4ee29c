"""The report as one HTML page that needs nothing else: no network, no script."""

import json
import re
from collections.abc import Iterator, Sequence
from html import escape

from benchmarks import plots
from benchmarks.markdown import tables
from benchmarks.report import Report
from benchmarks.table import about, failures, notes

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ddd; padding: .2rem .7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.bad { color: #b00020; font-weight: bold; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(38rem, 1fr)); gap: 1rem; }
.plots svg { width: 100%; height: auto; }
pre { background: #f6f6f6; padding: 1rem; overflow: auto; }
"""
_BOLD = re.compile(r"\*\*(.+?)\*\*")


def document(report: Report) -> str:
    """The page."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><title>e2e benchmark</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>e2e benchmark</h1><p>{escape(about(report))}</p>",
            *_tables(report),
            *(f"<p>{escape(text)}</p>" for text in notes(report)),
            *(f'<p class="bad">{escape(text)}</p>' for text in failures(report)),
            *_pictures(report),
            f"<h2>Machine and options</h2><pre>{escape(_settings(report))}</pre>",
            "</body></html>",
            "",
        ]
    )


def _tables(report: Report) -> Iterator[str]:
    for title, (headings, *rows) in tables(report):
        yield f"<h2>{escape(title)}</h2><table>"
        yield _row("th", headings)
        yield from (_row("td", row) for row in rows)
        yield "</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    texts = (_BOLD.sub(r"<b>\1</b>", escape(cell)) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"


def _pictures(report: Report) -> Iterator[str]:
    for name, found in report.findings.items():
        pictures = list(plots.of(name, found))
        if pictures:
            yield f'<h2>{escape(name)}</h2><div class="plots">'
            yield from (f"<div>{picture}</div>" for picture in pictures)
            yield "</div>"


def _settings(report: Report) -> str:
    settings = {"machine": dict(report.machine), "options": dict(report.options)}
    return json.dumps(settings, indent=1, sort_keys=True)
