"""A comparison as Markdown and as a page."""

from collections.abc import Iterator, Sequence

from e2e.benchmark import charts, markdown, page
from e2e.benchmark.charts import Spec
from e2e.benchmark.comparison import Compared, Comparison
from e2e.statistics import median


def markdown_of(comparison: Comparison) -> str:
    """The verdict, and a row for each figure."""
    return markdown.document(str(comparison), _tables(comparison), comparison.notes)


def page_of(comparison: Comparison) -> str:
    """The page. Raises InvalidArgument without the extra `report`."""
    title = f"Benchmark {' and '.join(comparison.names)}"
    plots = list(_plots(comparison))
    return page.document(title, str(comparison), _tables(comparison), comparison.notes, plots)


def _tables(comparison: Comparison) -> Iterator[markdown.Table]:
    a, b = comparison.names
    headings = ["figure", a, b, f"{b} / {a}", "95 %", "noise", "verdict"]
    yield "Compared", [headings, *(_row(found) for found in comparison.figures.values())]


def _row(found: Compared) -> Sequence[str]:
    middles = [markdown.amount(found.name, median(samples)) for samples in (found.a, found.b)]
    if found.change is None:
        return [found.name, *middles, *[markdown.NOTHING] * 3, found.verdict]
    interval = f"{found.change.least:.2f}-{found.change.most:.2f}" if found.change.is_sure else "too few"
    return [
        found.name,
        *middles,
        f"{found.change.ratio:.2f} x",
        interval,
        f"{found.noise:.0%}",
        found.verdict,
    ]


def _plots(comparison: Comparison) -> Iterator[Spec]:
    for found in comparison.figures.values():
        yield charts.boxes(found.name, dict(zip(comparison.names, (found.a, found.b), strict=True)))
