from dataclasses import dataclass, field

import pytest

from benchmarks.peers import lines
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings


@dataclass
class Member:
    name: str
    breaks_at: int = -1
    taken: int = 0
    downs: int = 0
    seen: list[str] = field(default_factory=list)

    def down(self) -> None:
        self.downs += 1


def trial(member: Member) -> int:
    member.taken += 1
    member.seen.append(member.name)
    if member.taken == member.breaks_at:
        raise ValueError("too much")
    return member.taken


def test_the_order_turns_around() -> None:
    seen: list[str] = []
    members = [Member("floor", seen=seen), Member("e2e", seen=seen)]
    assert take_turns(members, trial, 3).found == {"floor": [1, 2, 3], "e2e": [1, 2, 3]}
    assert seen == ["floor", "e2e", "e2e", "floor", "floor", "e2e"]


def test_a_peer_that_breaks_is_cleared_up_and_out() -> None:
    floor, peer = Member("floor"), Member("compose", breaks_at=2)
    turns = take_turns([floor, peer], trial, 4)
    assert turns.found == {"floor": [1, 2, 3, 4], "compose": [1]}
    assert (peer.taken, peer.downs) == (2, 1)
    assert turns.note() == "compose broke: ValueError: too much"


@pytest.mark.parametrize("name", ["floor", "e2e"])
def test_without_the_floor_or_e2e_there_is_nothing_to_tell(name: str) -> None:
    member = Member(name, breaks_at=1)
    with pytest.raises(ValueError, match="too much"):
        take_turns([member], trial, 2)
    assert member.downs == 1


def test_lines_are_beside_the_floor_of_the_same_rounds() -> None:
    findings = Findings()
    found = {"floor": [1.0, 2.0, 4.0], "e2e": [1.1, 2.2, 4.4], "in threads": [3.0], "broken": []}
    lines.add(findings, "up", "1_up", "s", found)
    assert [(line.contender, line.value, line.floor) for line in findings.lines] == [
        ("floor", 2.0, None),
        ("e2e", 2.2, 2.0),
        ("in threads", 3.0, 2.0),
    ]
    assert [line.ratio for line in findings.lines] == [None, pytest.approx(1.1), 3.0]
    assert findings.floors == {"1_up_e2e_s": "1_up_floor_s", "1_up_in_threads_s": "1_up_floor_s"}


@pytest.mark.parametrize(("floor", "ratios"), [([0.0], True), ([2.0], False)])
def test_no_ratio_where_the_floor_is_nothing_or_no_work(floor: list[float], ratios: bool) -> None:
    findings = Findings()
    lines.add(findings, "kept", "kept", "MB", {"floor": floor, "e2e": [5.0]}, ratios=ratios)
    assert [line.ratio for line in findings.lines] == [None, None]
    assert findings.floors == {}
