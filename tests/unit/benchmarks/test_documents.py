import re

from benchmarks import markdown, page
from benchmarks.budgets import Budget
from benchmarks.report import Findings, Line, Report
from tests.unit.benchmarks.test_report import MACHINE


def report() -> Report:
    found = Findings(note="testcontainers is left out: <no network>")
    for name, value, ratio in (("floor", 1.0, None), ("e2e", 1.1, 1.1), ("compose", 1.05, 1.05)):
        found.keep(f"1_up_{name}_s", [value, value + 1, value + 2])
        spread = (value, value + 2)
        found.add(
            Line("1 up", value, "s", spread=spread, ratio=ratio, contender=name, samples=f"1_up_{name}_s")
        )
    found.add(Line("1 down", 0.5, "s", contender="e2e"))
    found.add(Line("lag | p50", 99.0, "ms", 3, (1.0, 100.0), budget=Budget(15.0, "15 ms")))
    found.keep("lag_ms", [1.0, 99.0, 100.0])
    found.keep("nothing_ms", [])
    found.keep("zeros_s", [0.0, 0.0])
    found.curves["seconds by number"] = {"e2e": [(1, 0.3), (40, 8.0)], "floor": [(1, 0.2), (40, 7.0)]}
    return Report(MACHINE, {"quick": True}, {"peers-fleet": found}, {"broken": "ValueError: no"})


def test_contenders_stand_side_by_side_and_the_least_is_marked() -> None:
    text = markdown.document(report())
    assert "| what | floor | e2e | compose |" in text
    assert (
        "| 1 up | 1.00 s (1.00-3.00) | 1.10 s (1.10 x, 1.10-3.10) | **1.05 s** (1.05 x, 1.05-3.05) |" in text
    )
    assert re.search(r"\| 1 down \| . \| \*\*0\.50 s\*\* \| . \|", text)


def test_losses_machine_and_what_is_left_out_are_told() -> None:
    text = markdown.document(report())
    assert "| lag / p50 | 99.0 ms | 3 | 1.0-100.0 |  |  | 15 ms | NOT met |" in text
    assert "2 cores" in text
    assert "- peers-fleet: testcontainers is left out: <no network>" in text
    assert "- broken failed: ValueError: no" in text


def test_the_page_needs_nothing_else() -> None:
    html = page.document(report())
    assert "<script" not in html
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", html)
    assert "&lt;no network&gt;" in html
    assert "<b>1.05 s</b>" in html


def test_every_group_of_samples_has_a_picture() -> None:
    html = page.document(report())
    assert html.count("<svg") == 4  # the curves, the contenders, and the rest by unit
    assert "NaN" not in html
