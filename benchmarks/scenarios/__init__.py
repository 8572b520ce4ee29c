"""What is measured. Each scenario stands alone: it takes a run, and gives what it found."""

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.report import Findings
from benchmarks.scenarios import (
    at_once,
    calls,
    crowd,
    died,
    dropped_file,
    fleet,
    hopeless,
    image,
    metric,
    ready,
    rest,
    restart,
    scale,
    start,
)

Scenario = Callable[[Bench], Findings]

SCENARIOS: dict[str, Scenario] = {
    "fleet": fleet.run,
    "calls": calls.run,
    "ready": ready.run,
    "at-once": at_once.run,
    "metric": metric.run,
    "died": died.run,
    "hopeless": hopeless.run,
    "file": dropped_file.run,
    "start": start.run,
    "image": image.run,
    "rest": rest.run,
    "restart": restart.run,
    "crowd": crowd.run,
    "scale": scale.run,
}
