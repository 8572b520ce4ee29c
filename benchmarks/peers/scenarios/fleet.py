"""N small HTTP servers up and down, everybody beside the floor, in turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.contenders import server_command
from benchmarks.peers import lines
from benchmarks.peers.contenders import Peer
from benchmarks.peers.line_up import line_up
from benchmarks.peers.order import Order
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings
from e2e.statistics import median

_HOW = (
    "the networks of the floor, e2e and the Go framework are there before; Compose makes its own on the way "
    "up, testcontainers uses the engine's default one; Compose and the Go framework remove theirs on the way "
    "down. Compose has a health check every second, and `down --timeout 0`: this server does not end on "
    "SIGTERM, and all others kill it"
)


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds that one contender took once."""

    up: float
    down: float


def run(bench: Bench) -> Findings:
    """Lines for each size, way and contender."""
    options = bench.options
    with line_up(bench, "fleet") as line:
        findings = Findings(note=line.note)
        findings.say(_HOW)
        warm = take_turns(line.peers, lambda peer: trial(peer, _order(1, options.image)), 1)
        findings.say(warm.note())
        peers = line.but(*warm.failures)
        for size in options.sizes:
            rounds = options.rounds_for(size)

            def say(number: int, size: int = size, rounds: int = rounds) -> None:
                bench.say(f"peers: fleet of {size}, round {number + 1} of {rounds}")

            order = _order(size, options.image)
            turns = take_turns(peers, lambda peer, order=order: trial(peer, order), rounds, say)  # type: ignore[misc]
            findings.say(turns.note())
            peers = tuple(peer for peer in peers if peer.name not in turns.failures)
            _judge(findings, size, turns.found)
    return findings


def _order(size: int, image: str) -> Order:
    return Order(size, image, tuple(server_command()))


def trial(peer: Peer, order: Order) -> Round:
    """Once up and down."""
    peer.prepare(order)
    return Round(_seconds(peer.up), _seconds(peer.down))


def _seconds(function: Callable[[], None]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _judge(findings: Findings, size: int, found: dict[str, list[Round]]) -> None:
    workloads = f"{size} workload{'s' if size > 1 else ''}"
    for direction, words in (("up", "up to all ready"), ("down", "down to all gone")):
        samples = {name: [getattr(each, direction) for each in rounds] for name, rounds in found.items()}
        curves = findings.curves.setdefault(f"HTTP workloads, {words}, seconds by number", {})
        for name, seconds in samples.items():
            if seconds:
                curves.setdefault(name, []).append((size, median(seconds)))
        lines.add(findings, f"{workloads}, {words}", f"{size}_{direction}", "s", samples)
