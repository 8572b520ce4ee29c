import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import SLOWER, UNUSABLE, compare, differences, main
from benchmarks.report import Findings, Line, Report

MACHINE = {"cores": 2, "memory_mb": 4000, "kernel": "6.1", "engine": "20.10", "python": "3.11"}
FLOOR = [1.0, 2.0, 1.5, 1.2, 1.1]


def run(
    factor: float = 1.0, *, floor: list[float] | None = None, calls: float = 7, **machine: Any
) -> dict[str, Any]:
    found = Findings()
    base = floor or FLOOR
    found.keep("10_up_e2e_s", [factor * each for each in base], floor="10_up_floor_s")
    found.keep("10_up_floor_s", base)
    found.keep("10_up_compose_s", [9 * factor * each for each in base], floor="10_up_floor_s")
    found.keep("lag_ms", [factor * each for each in (10.0, 10.1, 10.2, 9.9, 9.8)])
    found.keep("nothing_ms", [])
    found.keep("ticks_s", [0.0, 0.01, 0.0])
    found.add(
        Line("10 workloads", 9.0, "s", contender="compose", samples="10_up_compose_s"),
        Line("calls", calls, ""),
    )
    report = Report({**MACHINE, **machine}, {"image": "busybox"}, {"fleet": found})
    return dict(json.loads(json.dumps(report.document())))


def verdicts(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each.what: (each.by, each.verdict) for each in compare(old, new)}


def test_ratios_to_the_floor_where_there_are_some_and_values_elsewhere() -> None:
    assert verdicts(run(), run(1.5)) == {
        "fleet: 10_up_e2e_s": ("ratio to the floor", "slower"),
        "fleet: lag_ms": ("value", "slower"),
        "fleet: calls": ("count", "cannot tell"),
    }


def test_a_slower_machine_is_no_slower_e2e() -> None:
    slow = run(floor=[3 * each for each in FLOOR])
    assert verdicts(run(), slow)["fleet: 10_up_e2e_s"] == ("ratio to the floor", "cannot tell")


def test_values_without_a_floor_have_to_change_more() -> None:
    found = verdicts(run(), run(1.1))
    assert found["fleet: 10_up_e2e_s"][1] == "slower"
    assert found["fleet: lag_ms"][1] == "cannot tell"


def test_one_more_call_for_each_workload_is_seen() -> None:
    assert verdicts(run(), run(calls=8))["fleet: calls"] == ("count", "slower")
    assert verdicts(run(), run(calls=6))["fleet: calls"] == ("count", "faster")
    assert verdicts(run(calls=0), run(calls=1))["fleet: calls"] == ("count", "slower")
    assert verdicts(run(calls=0), run(calls=0))["fleet: calls"] == ("count", "cannot tell")


def test_scenarios_that_are_not_in_both_are_left_out() -> None:
    old = run()
    old["scenarios"] = {}
    assert verdicts(old, run()) == {}


def test_another_machine_is_told() -> None:
    assert list(differences(run(), run())) == []
    assert list(differences(run(), run(cores=4))) == ["not the same cores: 2 before, 4 now"]


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (0.5, 0), (2.0, SLOWER)])
def test_the_exit_code_tells_what_is_slower(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, code: int
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(run()))
    new.write_text(json.dumps(run(factor)))
    assert main([str(old), str(new)]) == code
    assert "10_up_e2e_s" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", '{"format": 0}'])
def test_other_files_are_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "old.json"
    file.write_text(text)
    assert main([str(file), str(file)]) == UNUSABLE
    assert "old.json" in capsys.readouterr().out
