"""From the moment at which a metric reaches a value to the moment at which everybody's wait for it ends.

Only e2e and the Go framework have such a wait. The floor asks for the page all the time.
"""

import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.peers import lines
from benchmarks.peers.contenders import MetricPeer
from benchmarks.peers.line_up import line_up
from benchmarks.peers.order import METRICS, Order
from benchmarks.peers.served import folder, serving
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings
from benchmarks.waiting import Waiting, rest

_AFTER = 0.5
_METRIC = "benchmark_value"
_PAGE = METRICS.strip("/")


def run(bench: Bench) -> Findings:
    """A line for everybody who can."""
    trials = max(1, bench.options.trials // 2)
    values = iter(range(1, 10**6))
    served: dict[str, Path] = {}
    with line_up(bench, "metric") as line:
        findings = Findings(note=line.note)
        peers = [peer for peer in line.peers if isinstance(peer, MetricPeer)]

        def trial(peer: MetricPeer) -> float:
            if peer.name not in served:
                served[peer.name] = _up(peer, bench.options.image)
            return _trial(peer, served[peer.name], next(values))

        turns = take_turns(
            peers, trial, trials, lambda number: bench.say(f"peers: metric, trial {number + 1} of {trials}")
        )
        for peer in peers:
            if peer.name not in turns.failures:
                peer.down()
    findings.say(turns.note())
    lines.add(findings, "metric reaches value to waiter told", "metric", "ms", turns.found, ratios=False)
    return findings


def _up(peer: MetricPeer, image: str) -> Path:
    served = folder(peer.shared)
    _serve(served, 0)
    order = Order(1, image, serving(served), page=METRICS, folder=str(served), metric=_METRIC)
    peer.prepare(order)
    peer.up()
    return served


def _trial(peer: MetricPeer, served: Path, value: int) -> float:
    """In ms."""
    waiting = Waiting(lambda: peer.wait_metric(value))
    rest(_AFTER)
    instant = _serve(served, value)
    return 1000 * (waiting.told() - instant)


def _serve(served: Path, value: int) -> float:
    """Replaces the page, and gives the instant."""
    new = served / f".{_PAGE}"
    new.write_text(f"# TYPE {_METRIC} gauge\n{_METRIC} {value}\n")
    instant = time.perf_counter()
    new.replace(served / _PAGE)
    return instant
