"""The report on a terminal."""

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.report import Line, Report, Unit

WIDTH = 130
_DECIMALS: dict[Unit, int] = {"s": 2, "ms": 1, "MB": 0, "%": 2, "": 2}


def make_console() -> Console:
    """As wide as the terminal; wide enough for the table where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def render(report: Report) -> Iterator[RenderableType]:
    """The table, then what it cannot say."""
    table = Table(title="e2e beside the engine's own floor", title_justify="left", pad_edge=False)
    table.add_column("what")
    for heading in ("measured", "n", "spread", "floor", "ratio", "budget"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for found in report.findings.values():
        for line in found.lines:
            table.add_row(*_cells(line))
        table.add_section()
    yield table
    for name, found in report.findings.items():
        if found.note:
            yield Text(f"{name}: {found.note}")
    for name, failure in report.failures.items():
        yield Text(f"{name} failed: {failure}", style="bold red")
    yield Text(_about(report), style="dim")


def _cells(line: Line) -> list[RenderableType]:
    return [
        line.words,
        figure(line.value, line.unit),
        "" if line.count is None else str(line.count),
        "" if line.spread is None else _range(*line.spread, line.unit),
        "" if line.floor is None else figure(line.floor, line.unit),
        "" if line.ratio is None else f"{line.ratio:.2f} x",
        line.budget.text if line.budget else "",
        _verdict(line.met),
    ]


def figure(value: float, unit: Unit) -> str:
    """`1.50 s`."""
    if unit == "" and value == int(value):
        return str(int(value))
    return f"{value:.{_DECIMALS[unit]}f} {unit}".strip()


def _range(least: float, most: float, unit: Unit) -> str:
    decimals = _DECIMALS[unit]
    return f"{least:.{decimals}f}-{most:.{decimals}f}"


def _verdict(met: bool | None) -> Text:
    if met is None:
        return Text("")
    return Text("met", style="green") if met else Text("NOT met", style="bold red")


def _about(report: Report) -> str:
    machine = report.machine
    before, after = machine["load_before"][0], machine.get("load_after", machine["load_before"])[0]
    return (
        f"{machine['date']}: {machine['cores']} cores, kernel {machine['kernel']}, "
        f"engine {machine['engine']}, Python {machine['python']}, e2e {machine['e2e']}; "
        f"load {before:.1f} before, {after:.1f} after; {machine['foreign_containers']} containers of others"
    )
