"""Reports and comparisons as one HTML page with plots that needs nothing else: no network."""

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from e2e.benchmark import charts, markdown
from e2e.benchmark.charts import Spec
from e2e.benchmark.report import Report

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ddd; padding: .2rem .7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.note { color: #8a4b00; }
.plots { display: flex; flex-wrap: wrap; gap: 1.5rem; }
pre { background: #f6f6f6; padding: .6rem; overflow: auto; }
"""
_MEGABYTE = 1e6


def of_report(report: Report) -> str:
    """The page. Raises InvalidArgument without the extra `report`."""
    asked = [f"{query.name}: {query.promql}" for query in report.queries]
    return document(
        f"Benchmark {report.name}",
        markdown.heading(report),
        markdown.tables(report),
        report.notes,
        list(_plots(report)),
        asked,
    )


def _plots(report: Report) -> Iterator[Spec]:
    across = "seconds"
    if cores := {usage.name: usage.cpu_curve for usage in report.usage if usage.cpu_curve}:
        yield charts.lines("cores in use", cores, across=across)
    memory = {
        usage.name: [(moment, value / _MEGABYTE) for moment, value in usage.memory_curve]
        for usage in report.usage
        if usage.memory_curve
    }
    if memory:
        yield charts.lines("memory, MB", memory, across=across)
    for query in report.queries:
        curves = {query.words_for(one) or query.name: one.curve for one in query.series if one.curve}
        if curves:
            yield charts.lines(query.name, curves, across=across)


def document(
    title: str,
    about: str,
    tables: Iterable[markdown.Table],
    notes: Sequence[str],
    plots: Sequence[Spec],
    asked: Sequence[str] = (),
) -> str:
    """The page of anything that has tables and plots."""
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{escape(about)}</p>",
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        *(line for table in tables for line in _table(table)),
        *_drawn(plots),
    ]
    if asked:
        parts.append(f"<h2>Queries</h2><pre>{escape(chr(10).join(asked))}</pre>")
    return "\n".join([*parts, "</body></html>", ""])


def _table(table: markdown.Table) -> Iterator[str]:
    name, (headings, *rows) = table
    yield f"<h2>{escape(name)}</h2><table>{_row('th', headings)}"
    yield from (_row("td", row) for row in rows)
    yield "</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _drawn(plots: Sequence[Spec]) -> Iterator[str]:
    if not plots:
        return
    yield '<div class="plots">'
    yield from (f'<div id="plot-{number}"></div>' for number in range(len(plots)))
    yield "</div>"
    yield f"<script>{charts.script()}</script>"
    text = json.dumps(plots).replace("</", "<\\/")  # whatever a label says, the script goes on
    yield (
        f"<script>{text}.forEach((plot, number) => "
        "vegaEmbed(`#plot-${number}`, plot, {actions: false}));</script>"
    )
