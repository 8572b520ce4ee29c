"""The Thanos story: two Prometheus, a sidecar beside each, a querier over both, and what their metrics say.

From nothing to the last metric that is waited for, and back to nothing: the Go framework's own example and
ours. Its Thanos asks again only after some seconds where ours, by e2edb's flags, does so at once, so the
example is told with those, too. Images and scrape interval are the same.
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

import e2e
import e2edb
from benchmarks.bench import WAIT_SECONDS, Bench
from benchmarks.peers import lines
from benchmarks.peers.contenders import DrivenGo, Ours
from benchmarks.peers.line_up import line_up
from benchmarks.peers.scenarios.fleet import Round
from benchmarks.peers.turns import take_turns
from benchmarks.report import Findings

_ROUNDS, _QUICK_ROUNDS = 5, 1


class Teller(Protocol):
    """Tells the Thanos story."""

    name: str

    def story(self) -> None:
        """From nothing to the last metric."""

    def down(self) -> None:
        """Back to nothing."""


@dataclass(slots=True)
class GoStory:
    """The Go framework's own example; with the programs' flags as it has them, or as e2edb has."""

    peer: DrivenGo
    name: str
    flags: str = "own"

    def story(self) -> None:
        """Makes the environment, too."""
        self.peer.process.ask(f"story {self.peer.prefix} {self.flags}")

    def down(self) -> None:
        """Closes it."""
        self.peer.down()


@dataclass(slots=True)
class OurStory:
    """The example of examples/thanos, without its questions to the querier."""

    environment: str
    controller: str
    name: str = "e2e"
    _held: list[e2e.Environment] = field(default_factory=list)

    def story(self) -> None:
        """Makes the environment, too."""
        environment = e2e.Environment(self.environment, controller=self.controller, timeout=WAIT_SECONDS)
        environment.start()
        self._held.append(environment)
        p1 = e2edb.prometheus(environment, "prometheus-1")
        s1 = e2edb.thanos_sidecar(environment, "sidecar-1", p1)
        p2 = e2edb.prometheus(environment, "prometheus-2")
        s2 = e2edb.thanos_sidecar(environment, "sidecar-2", p2)
        stores = [s1.internal_endpoint("grpc"), s2.internal_endpoint("grpc")]
        querier = e2edb.thanos_querier(environment, "query-1", stores)
        environment.start_and_wait_ready(p1, s1, p2, s2, querier)
        querier.wait_sum_metrics(e2e.equals(2), "thanos_store_nodes_grpc_connections")
        for prometheus in (p1, p2):
            prometheus.wait_sum_metrics(e2e.greater(50), "prometheus_tsdb_head_samples_appended_total")

    def down(self) -> None:
        """Closes it."""
        while self._held:
            self._held.pop().close()


def run(bench: Bench) -> Findings:
    """Lines for the way up and the way down."""
    rounds = bench.options.rounds or (_QUICK_ROUNDS if bench.options.quick else _ROUNDS)
    with line_up(bench, "story") as line:
        findings = Findings(note=line.note)
        tellers: list[Teller] = []
        for peer in line.peers:
            if isinstance(peer, Ours):
                tellers.append(OurStory(f"{bench.run}-story", peer.controller.address))
            elif isinstance(peer, DrivenGo):
                tellers += [GoStory(peer, peer.name), GoStory(peer, f"{peer.name} with our flags", "ours")]
        turns = take_turns(
            tellers,
            _trial,
            rounds,
            lambda number: bench.say(f"peers: Thanos story, round {number + 1} of {rounds}"),
        )
    findings.say(turns.note())
    for direction, words in (("up", "from nothing to its last metric"), ("down", "back to nothing")):
        samples = {name: [getattr(each, direction) for each in found] for name, found in turns.found.items()}
        lines.add(findings, f"Thanos story, {words}", f"story_{direction}", "s", samples)
    return findings


def _trial(teller: Teller) -> Round:
    began = time.perf_counter()
    teller.story()
    told = time.perf_counter()
    teller.down()
    return Round(told - began, time.perf_counter() - told)
