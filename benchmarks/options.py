"""The command line."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

DEFAULT_IMAGE = "docker.io/library/busybox:1.36"
_ROUNDS = {1: 15}
"""A single start varies more from one to the next than what is to be shown, so it needs more rounds."""
_ROUNDS_ELSE = 5
"""From fewer than four, two runs cannot be compared."""
PEERS_SIZES = (1, 10, 40, 100)


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how often."""

    only: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1, 10, 40)
    rounds: int | None = None
    threads: int = 16
    trials: int = 50
    rest_workloads: int = 200
    rest_seconds: float = 60.0
    """One whole minute has one full look at the engine in it."""
    peers: bool = False
    """Measures peers instead."""
    peers_rest: tuple[int, ...] = (40, 200)
    manifests: int = 1000
    image: str = DEFAULT_IMAGE
    output: Path = Path("bench-results")
    quick: bool = False

    def rounds_for(self, size: int) -> int:
        """How often a fleet of that size is started."""
        if self.rounds is not None:
            return self.rounds
        if self.quick:
            return 3 if size == 1 else 1
        return _ROUNDS.get(size, _ROUNDS_ELSE)

    def document(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self) | {"output": str(self.output)}


def quickened(options: Options) -> Options:
    """For a look whether the benchmark works; its figures say little."""
    return replace(
        options,
        sizes=tuple(size for size in options.sizes if size <= 10) or options.sizes[:1],
        trials=min(options.trials, 5),
        rest_workloads=min(options.rest_workloads, 5),
        rest_seconds=min(options.rest_seconds, 3.0),
        peers_rest=options.peers_rest[:1] if min(options.peers_rest) <= 5 else (5,),
        manifests=min(options.manifests, 100),
    )


def parse(arguments: Sequence[str], names: Sequence[str]) -> Options:
    """The options; ends the process with a message where they are wrong."""
    default = Options()
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.description = "Measures e2e beside the engine's own floor."
    parser.add_argument("--only", action="append", choices=names, default=[], help="may be repeated")
    parser.add_argument("--quick", action="store_true", help="few rounds: does it work at all?")
    parser.add_argument("--peers", action="store_true", help="measure beside peers, and that alone")
    parser.add_argument("--sizes", type=_sizes, help="fleet sizes (default 1,10,40; with --peers also 100)")
    parser.add_argument("--rounds", type=_positive, help="rounds of each size (default 15 of 1, else 5)")
    parser.add_argument("--threads", type=_positive, default=default.threads, help="the floor's (default 16)")
    parser.add_argument("--trials", type=_positive, default=default.trials, help="of each lag (default 50)")
    parser.add_argument("--rest-workloads", type=_positive, default=default.rest_workloads)
    parser.add_argument("--rest-seconds", type=float, default=default.rest_seconds)
    parser.add_argument("--peers-rest", type=_sizes, default=default.peers_rest, help="(default 40,200)")
    parser.add_argument("--manifests", type=_positive, default=default.manifests, help="of the restart")
    parser.add_argument("--image", default=default.image, help="with busybox's httpd, sh and sleep in it")
    parser.add_argument("--output", type=Path, default=default.output, help="folder of the reports")
    given = vars(parser.parse_args(arguments))
    given["sizes"] = given["sizes"] or (PEERS_SIZES if given["peers"] else default.sizes)
    options = Options(**given | {"only": tuple(given["only"])})
    return quickened(options) if options.quick else options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text}")
    return number


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))
