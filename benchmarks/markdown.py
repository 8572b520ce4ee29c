"""The report as Markdown, for a README or a comment."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.report import Line, Report
from benchmarks.table import HEADINGS, TITLE, about, failures, figure, notes, ratio, spread, texts

PEERS_TITLE = "Everybody side by side: median (ratio to the engine's own floor, least and most)"
_NOTHING = "–"  # noqa: RUF001 - a dash, not a minus


def document(report: Report) -> str:
    """All of it."""
    parts = [f"*{about(report)}*"]
    for title, (headings, *rows) in tables(report):
        parts.append(f"**{title}**")
        parts.append(
            "\n".join([_row(headings), _row(["---", *["---:"] * (len(headings) - 1)]), *map(_row, rows)])
        )
    parts += [f"- {text}" for text in (*notes(report), *failures(report))]
    return "\n\n".join(parts) + "\n"


def tables(report: Report) -> Iterator[tuple[str, list[Sequence[str]]]]:
    """Titles, and rows of which the first is the headings; contenders stand side by side."""
    lines = [line for found in report.findings.values() for line in found.lines]
    alone = [line for line in lines if not line.contender]
    together = [line for line in lines if line.contender]
    if alone:
        yield TITLE, [HEADINGS, *map(texts, alone)]
    if together:
        yield PEERS_TITLE, list(side_by_side(together))


def side_by_side(lines: Iterable[Line]) -> Iterator[Sequence[str]]:
    """A row for each thing measured, a column for each contender; the least is marked, the floor aside."""
    rows: dict[str, dict[str, Line]] = {}
    for line in lines:
        rows.setdefault(line.what, {})[line.contender] = line
    contenders = list(dict.fromkeys(name for row in rows.values() for name in row))
    yield ["what", *contenders]
    for what, row in rows.items():
        rivals = [line.value for name, line in row.items() if name != "floor"]
        least = min(rivals, default=None)
        yield [what, *(_cell(row.get(name), least) for name in contenders)]


def _cell(line: Line | None, least: float | None) -> str:
    if line is None:
        return _NOTHING
    measured = figure(line.value, line.unit)
    if line.contender != "floor" and line.value == least:
        measured = f"**{measured}**"
    more = [text for text in (ratio(line), spread(line)) if text]
    return f"{measured} ({', '.join(more)})" if more else measured


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
