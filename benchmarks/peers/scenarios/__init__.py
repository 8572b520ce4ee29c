"""What is measured beside peers."""

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.peers.scenarios import died, fleet, metric, ready, rest, story
from benchmarks.report import Findings

PEER_SCENARIOS: dict[str, Callable[[Bench], Findings]] = {
    "peers-fleet": fleet.run,
    "peers-story": story.run,
    "peers-ready": ready.run,
    "peers-metric": metric.run,
    "peers-died": died.run,
    "peers-rest": rest.run,
}
