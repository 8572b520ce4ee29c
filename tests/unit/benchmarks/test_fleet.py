from dataclasses import dataclass

import pytest

from benchmarks.report import Findings
from benchmarks.scenarios.fleet import Round, interleave, judge


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
