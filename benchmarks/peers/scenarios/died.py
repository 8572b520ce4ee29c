"""From the end of a container in its start-up to the moment at which everybody's wait fails.

The program never serves; after a second it writes the moment down, as exactly as the kernel's file times are
(4 ms), and ends. The floor is the engine's own event.
"""

from contextlib import ExitStack
from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.peers import lines
from benchmarks.peers.contenders import Direct, Peer
from benchmarks.peers.line_up import IN_THREADS, line_up
from benchmarks.peers.order import Order
from benchmarks.peers.served import ENDED, ending, folder
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings
from benchmarks.scenarios.died import Deaths
from benchmarks.waiting import Waiting

_LIVES, _CODE = 1.0, 3
_LONGEST = 300.0
"""There are peers that wait out their whole time for a start."""


def run(bench: Bench) -> Findings:
    """A line for everybody."""
    trials = max(1, bench.options.trials // 15)
    with line_up(bench, "died") as line, Deaths() as deaths:
        findings = Findings(note=line.note)
        peers = [_learning(peer, deaths) for peer in line.but(IN_THREADS)]
        turns = take_turns(
            peers,
            lambda peer: _trial(peer, bench.options.image),
            trials,
            lambda number: bench.say(f"peers: died in start-up, trial {number + 1} of {trials}"),
        )
    findings.say(turns.note())
    lines.add(findings, "container ended in start-up to waiter told", "died", "ms", turns.found)
    return findings


def _learning(peer: Peer, deaths: Deaths) -> Peer:
    return replace(peer, deaths=deaths) if isinstance(peer, Direct) else peer


def _trial(peer: Peer, image: str) -> float:
    """In ms."""
    served = folder(peer.shared)
    peer.prepare(Order(1, image, ending(served, _LIVES, _CODE), folder=str(served)))
    with ExitStack() as stack:
        stack.callback(peer.down)
        waiting = Waiting(peer.up, expected=Exception)
        waiting.told(_LONGEST)
        return 1000 * (waiting.wall - (served / ENDED).stat().st_mtime)
