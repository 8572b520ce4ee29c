"""From the moment at which a service is ready to the moment at which everybody's wait in start-up ends.

The service listens at once, and serves the page half a second after that, when the benchmark makes it.
"""

import time

from benchmarks.bench import Bench, until
from benchmarks.peers import lines
from benchmarks.peers.contenders import Peer
from benchmarks.peers.line_up import IN_THREADS, line_up
from benchmarks.peers.order import Order
from benchmarks.peers.served import LISTENS, folder, serving
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings
from benchmarks.waiting import Waiting, rest

_AFTER = 0.5
_PAGE = "page"


def run(bench: Bench) -> Findings:
    """A line for everybody."""
    trials = max(1, bench.options.trials // 5)
    with line_up(bench, "ready") as line:
        findings = Findings(note=line.note)
        turns = take_turns(
            line.but(IN_THREADS),
            lambda peer: _trial(peer, bench.options.image),
            trials,
            lambda number: bench.say(f"peers: ready, trial {number + 1} of {trials}"),
        )
    findings.say(turns.note())
    lines.add(findings, "service ready to waiter told", "ready", "ms", turns.found, ratios=False)
    return findings


def _trial(peer: Peer, image: str) -> float:
    """In ms."""
    served = folder(peer.shared)
    peer.prepare(Order(1, image, serving(served), page=f"/{_PAGE}", folder=str(served)))
    waiting = Waiting(peer.up)
    until((served / LISTENS).exists)
    rest(_AFTER)
    instant = time.perf_counter()
    (served / _PAGE).touch()
    lag = 1000 * (waiting.told() - instant)
    peer.down()
    return lag
