import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.budgets import Budget
from benchmarks.report import Findings, Line, Report
from benchmarks.table import figure, render

MACHINE = {
    "date": "2026-01-02T03:04:05+00:00",
    "cores": 2,
    "kernel": "6.1",
    "engine": "20.10.24",
    "python": "3.11.7",
    "e2e": "0.1.0",
    "load_before": [0.5, 0.4, 0.3],
    "load_after": [1.5, 0.4, 0.3],
    "foreign_containers": 3,
}
BUDGET = Budget(15.0, "15 ms")


@pytest.mark.parametrize(("value", "met"), [(14.9, True), (15.0, True), (15.1, False)])
def test_a_budget_is_a_limit_that_may_be_reached(value: float, met: bool) -> None:
    assert Line("lag", value, "ms", budget=BUDGET).met is met


def test_a_budget_may_be_about_the_ratio() -> None:
    line = Line("fleet", 9.0, "s", floor=8.0, ratio=1.125, budget=Budget(1.1, "1.10 x floor"), judged="ratio")
    assert line.met is False


def test_without_a_budget_there_is_no_verdict() -> None:
    assert Line("lag", 1.0, "ms").met is None


def report() -> Report:
    found = Findings(note="the first note")
    found.keep("lag_ms", [3.0, 1.0, 2.0])
    found.keep("nothing_ms", [])
    found.add(
        Line("lag", 2.0, "ms", 3, (1.0, 3.0), floor=1.0, ratio=2.0, budget=BUDGET),
        Line("slow", 99.0, "ms", budget=BUDGET),
        Line("writes", 0, ""),
    )
    return Report(MACHINE, {"quick": True}, {"lags": found}, {"broken": "ValueError: no"})


def test_the_file_has_raw_samples_lines_and_verdicts(tmp_path: Path) -> None:
    document = json.loads(report().write(tmp_path / "new", "run").read_text())
    assert document["machine"] == MACHINE
    assert document["options"] == {"quick": True}
    assert document["failures"] == {"broken": "ValueError: no"}
    lags = document["scenarios"]["lags"]
    assert lags["samples"]["lag_ms"]["values"] == [3.0, 1.0, 2.0]
    assert lags["samples"]["lag_ms"]["median"] == 2.0
    assert lags["samples"]["nothing_ms"] == {"values": []}
    assert [(line["what"], line["met"]) for line in lags["lines"]] == [
        ("lag", True),
        ("slow", False),
        ("writes", None),
    ]


def test_the_table_says_what_is_not_met() -> None:
    console = Console(width=130, file=io.StringIO())
    with console.capture() as capture:
        for part in render(report()):
            console.print(part)
    lines = capture.get().splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert cells == [
        ["lag", "2.0 ms", "3", "1.0-3.0", "1.0 ms", "2.00 x", "15 ms", "met"],
        ["slow", "99.0 ms", "", "", "", "", "15 ms", "NOT met"],
        ["writes", "0", "", "", "", "", "", ""],
    ]
    text = " ".join(" ".join(lines).split())
    assert "lags: the first note" in text
    assert "broken failed: ValueError: no" in text
    assert "load 0.5 before, 1.5 after; 3 containers of others" in text


def test_figures_have_their_unit() -> None:
    assert [figure(1.234, "s"), figure(1.26, "ms"), figure(99.6, "MB"), figure(0.012, "%")] == [
        "1.23 s",
        "1.3 ms",
        "100 MB",
        "0.01 %",
    ]
    assert [figure(7.0, ""), figure(5.3, "")] == ["7", "5.30"]
