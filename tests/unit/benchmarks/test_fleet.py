import os
from dataclasses import dataclass

import pytest

from benchmarks.metered import Metered, Work
from benchmarks.report import Findings
from benchmarks.scenarios.fleet import Round, interleave, judge, judge_held_back, tell_work


@dataclass
class Recorded:
    """A contender that only writes down what it was asked."""

    name: str
    log: list[str]
    size: int = 0

    def prepare(self, size: int) -> None:
        self.size = size

    def up(self) -> None:
        self.log.append(f"{self.name} up {self.size}")

    def down(self) -> None:
        self.log.append(f"{self.name} down {self.size}")


def test_each_contender_goes_first_in_turn() -> None:
    log: list[str] = []
    rounds: list[int] = []
    found = interleave([Recorded("floor", log), Recorded("e2e", log)], 4, 2, rounds.append)
    assert log == [
        "floor up 4",
        "floor down 4",
        "e2e up 4",
        "e2e down 4",
        "e2e up 4",
        "e2e down 4",
        "floor up 4",
        "floor down 4",
    ]
    assert rounds == [0, 1]
    assert {name: len(each) for name, each in found.items()} == {"floor": 2, "e2e": 2}


def test_ratios_are_of_medians_and_of_each_round() -> None:
    findings = Findings()
    judge(findings, 40, [Round(9.0, 2.0), Round(12.0, 4.0)], [Round(8.0, 2.0), Round(10.0, 2.0)])
    up, down = findings.lines
    assert (up.value, up.floor, up.spread, up.met) == (10.5, 9.0, (9.0, 12.0), False)
    assert up.ratio == pytest.approx(10.5 / 9)
    assert down.ratio == 1.5
    assert findings.details == {"40_up_ratios": [1.125, 1.2], "40_down_ratios": [1.0, 2.0]}


def test_one_workload_is_judged_by_its_difference() -> None:
    findings = Findings()
    judge(findings, 1, [Round(0.310, 0.1), Round(0.330, 0.1)], [Round(0.300, 0.1), Round(0.305, 0.1)])
    above = findings.lines[1]
    assert above.value == pytest.approx(17.5)
    assert (above.unit, above.met) == ("ms", True)
    assert findings.lines[0].budget is None


def test_the_engine_held_back_is_told_beside_the_floor() -> None:
    findings = Findings()
    judge_held_back(findings, 40, [Round(9.0, 3.0), Round(9.0, 4.0)], [Round(8.0, 2.0), Round(10.0, 3.0)])
    (line,) = findings.lines
    assert (line.value, line.floor, line.ratio, line.met) == (3.5, 2.5, 1.4, None)
    assert findings.samples == {"40_down_held_back_s": [3.0, 4.0]}


def test_own_processor_time_is_told_beside_the_machines() -> None:
    class Busy(Recorded):
        def up(self) -> None:
            sum(number * number for number in range(2_000_000))

    metered = Metered(Busy("e2e", []), os.getpid())
    interleave([metered], 2, 1)
    (up,), (down,) = metered.ups, metered.downs
    assert up.own > down.own
    assert up.machine > 0
    findings = Findings()
    tell_work(findings, 2, Metered(Busy("e2e", []), 1, [Work(0.5, 10.0), Work(0.7, 12.0)], [Work(0.1, 3.0)]))
    assert [(line.words, line.value) for line in findings.lines] == [
        ("2 workloads up, e2e's own processor time (of 11.0 s that the machine worked)", 0.6),
        ("2 workloads down, e2e's own processor time (of 3.0 s that the machine worked)", 0.1),
    ]
