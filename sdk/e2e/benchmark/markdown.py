"""Reports and comparisons as Markdown. Pure."""

from collections.abc import Iterator, Sequence

from e2e.benchmark.report import Report
from e2e.benchmark.usage import FIGURES
from e2e.matchers import format_number

NOTHING = "–"  # noqa: RUF001 - a dash, not a minus
_HEADINGS = {
    "cpu_seconds": "CPU",
    "memory_peak_bytes": "memory, most",
    "memory_mean_bytes": "memory, mean",
    "network_received_bytes": "received",
    "network_sent_bytes": "sent",
    "disk_read_bytes": "read",
    "disk_written_bytes": "written",
}
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
Table = tuple[str, Sequence[Sequence[str]]]
"""A title, and rows of which the first is the headings."""


def of_report(report: Report) -> str:
    """All of it but the curves."""
    return document(heading(report), tables(report), report.notes)


def heading(report: Report) -> str:
    """What was measured, when, and how long."""
    started = report.started.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{report.name}: {report.seconds:.2f} s in environment {report.environment}, {started}"


def tables(report: Report) -> Iterator[Table]:
    """Used by whom, and what was asked."""
    if report.usage:
        rows = [
            [usage.name, *(amount(name, usage.figures[name]) for name in FIGURES)] for usage in report.usage
        ]
        yield "Used", [["workload", *(_HEADINGS[name] for name in FIGURES)], *rows]
    if report.queries:
        yield "Asked", [["query", "series", "mean", "least", "most", "last"], *_asked(report)]


def _asked(report: Report) -> Iterator[Sequence[str]]:
    for query in report.queries:
        for series in query.series:
            values = (series.mean, series.least, series.most, series.last)
            yield [query.name, query.words_for(series), *(number(value) for value in values)]
        if not query.series:
            yield [query.name, "no values", *[NOTHING] * 4]


def amount(figure: str, value: float | None) -> str:
    """With its unit, by the figure's name: `..._bytes` or `..._seconds`."""
    if value is None:
        return NOTHING
    if figure.endswith("seconds"):
        return f"{1000 * value:.1f} ms" if value < 1 else f"{value:.2f} s"
    if not figure.endswith("bytes"):
        return number(value)
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} B"


def number(value: float) -> str:
    """Four digits that count."""
    return format_number(float(f"{value:.4g}"))


def document(title: str, parts: Iterator[Table], notes: Sequence[str]) -> str:
    """Title, tables and notes as Markdown."""
    texts = [f"*{title}*"]
    for name, (headings, *rows) in parts:
        texts.append(f"**{name}**")
        texts.append("\n".join([_row(headings), _row(_rule(headings)), *map(_row, rows)]))
    if notes:
        texts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(texts) + "\n"


def _rule(headings: Sequence[str]) -> Sequence[str]:
    return ["---", *["---:"] * (len(headings) - 1)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"
