"""The report on a terminal."""

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.report import Line, Report, Unit

WIDTH = 130
HEADINGS = ("what", "measured", "n", "spread", "floor", "ratio", "budget", "verdict")
TITLE = "e2e beside the engine's own floor"
_DECIMALS: dict[Unit, int] = {"s": 2, "ms": 1, "MB": 0, "%": 2, "": 2}


def make_console() -> Console:
    """As wide as the terminal; wide enough for the table where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def render(report: Report) -> Iterator[RenderableType]:
    """The table, then what it cannot say."""
    table = Table(title=TITLE, title_justify="left", pad_edge=False)
    what, *figures, verdict = HEADINGS
    table.add_column(what)
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(verdict, no_wrap=True)
    for found in report.findings.values():
        for line in found.lines:
            table.add_row(*_cells(line))
        table.add_section()
    yield table
    for note in notes(report):
        yield Text(note)
    for failure in failures(report):
        yield Text(failure, style="bold red")
    yield Text(about(report), style="dim")


def notes(report: Report) -> list[str]:
    """What was left out, and why; once where several scenarios say the same."""
    said: dict[str, list[str]] = {}
    for name, found in report.findings.items():
        if found.note:
            said.setdefault(found.note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in said.items()]


def failures(report: Report) -> list[str]:
    """Scenarios that broke."""
    return [f"{name} failed: {failure}" for name, failure in report.failures.items()]


def _cells(line: Line) -> list[RenderableType]:
    *figures, verdict = texts(line)
    style = "bold red" if line.met is False else "green"
    return [*figures, Text(verdict, style=style)]


def texts(line: Line) -> list[str]:
    """A cell for each of `HEADINGS`."""
    return [
        line.words,
        figure(line.value, line.unit),
        "" if line.count is None else str(line.count),
        spread(line),
        "" if line.floor is None else figure(line.floor, line.unit),
        ratio(line),
        line.budget.text if line.budget else "",
        "" if line.met is None else ("met" if line.met else "NOT met"),
    ]


def ratio(line: Line) -> str:
    """`1.05 x`; nothing where there is none."""
    return "" if line.ratio is None else f"{line.ratio:.2f} x"


def figure(value: float, unit: Unit) -> str:
    """`1.50 s`."""
    if unit == "" and value == int(value):
        return str(int(value))
    return f"{value:.{_DECIMALS[unit]}f} {unit}".strip()


def spread(line: Line) -> str:
    """`1.40-1.75`; nothing where there is none."""
    if line.spread is None:
        return ""
    decimals = _DECIMALS[line.unit]
    return "-".join(f"{bound:.{decimals}f}" for bound in line.spread)


def about(report: Report) -> str:
    """Date, machine class and versions."""
    machine = report.machine
    before, after = machine["load_before"][0], machine.get("load_after", machine["load_before"])[0]
    memory = f", {machine['memory_mb'] / 1000:.0f} GB" if "memory_mb" in machine else ""
    peers = "".join(f", {name} {version}" for name, version in machine.get("peers", {}).items())
    return (
        f"{machine['date']}: {machine['cores']} cores{memory}, kernel {machine['kernel']}, "
        f"engine {machine['engine']}, Python {machine['python']}, e2e {machine['e2e']}{peers}; "
        f"load {before:.1f} before, {after:.1f} after; {machine['foreign_containers']} containers of others"
    )
