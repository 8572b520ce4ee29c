"""What everybody keeps running while workloads rest, and how busy that makes the machine.

Health checks and probes go on, every 10 s. The user's own process (a test, here the driver) does not count.
"""

import time
from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.contenders import server_command
from benchmarks.peers import lines
from benchmarks.peers.contenders import Peer
from benchmarks.peers.kept import Kept, watch
from benchmarks.peers.line_up import IN_THREADS, line_up
from benchmarks.peers.order import Order
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings, Unit

_SETTLE = 3.0
_PERIOD = "10s"
_WHAT: Sequence[tuple[str, str, Unit]] = (
    ("memory", "memory of what is kept running", "MB"),
    ("processor", "of one core, by what is kept running", "%"),
    ("processes", "processes kept running", ""),
    ("machine", "of one core, by the whole machine", "%"),
)


def run(bench: Bench) -> Findings:
    """Lines for each size and contender."""
    options = bench.options
    with line_up(bench, "rest") as line:
        findings = Findings(note=line.note)
        peers = line.but(IN_THREADS)
        for size in options.peers_rest:
            order = Order(size, options.image, tuple(server_command()), period=_PERIOD)
            bench.say(f"peers: {size} workloads rest for {options.rest_seconds:g} s each")

            def trial(peer: Peer, order: Order = order) -> Kept:
                return _trial(peer, order, options.rest_seconds)

            turns = take_turns(peers, trial, 1)
            findings.say(turns.note())
            peers = tuple(peer for peer in peers if peer.name not in turns.failures)
            for field, words, unit in _WHAT:
                found = {name: [getattr(kept, field) for kept in each] for name, each in turns.found.items()}
                lines.add(
                    findings,
                    f"{size} workloads at rest, {words}",
                    f"{size}_{field}",
                    unit,
                    found,
                    ratios=False,
                )
    return findings


def _trial(peer: Peer, order: Order, seconds: float) -> Kept:
    peer.prepare(order)
    peer.up()
    time.sleep(_SETTLE)
    kept = watch(peer.kept(), seconds)
    peer.down()
    return kept
