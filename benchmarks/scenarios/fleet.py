"""N small HTTP servers up and down, e2e beside the floor.

Timed is, for e2e, from the SDK's Apply call to the end of its wait for all to be ready, and from its Delete
call until all objects are gone; for the floor, the same of its own calls. Before that, the network is there,
the client connected, the image present, and both had an untimed round.

Where the engine may lock up when many containers leave a network at once, a second floor removes as few at
once as e2e does: it shows what that costs the engine itself.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench
from benchmarks.contenders import Contender, Floor, ThroughSdk, floor
from benchmarks.figures import pairwise_differences, pairwise_ratios
from benchmarks.metered import Metered
from benchmarks.report import Findings, Line
from e2e.statistics import median
from e2e_controller.drivers.docker.departures import MOST_AT_ONCE
from e2e_controller.drivers.docker.failures import may_lock_up

_HELD_BACK = f"floor, {MOST_AT_ONCE} at once"


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds that one contender took once."""

    up: float
    down: float


def run(bench: Bench) -> Findings:
    """Lines for each size, and for one workload."""
    options, findings = bench.options, Findings()
    with (
        bench.environment("fleet") as environment,
        e2e.Client.connect() as client,
        floor(bench.engine, bench.run, options.image, options.threads) as direct,
    ):
        through_sdk = ThroughSdk(environment, client, options.image)
        interleave((direct, through_sdk), size=1, rounds=1)
        held_back = _held_back(direct)
        for size in options.sizes:
            rounds = options.rounds_for(size)

            def say(number: int, size: int = size, rounds: int = rounds) -> None:
                bench.say(f"fleet of {size}, round {number + 1} of {rounds}")

            slow = held_back if size > MOST_AT_ONCE else ()
            metered = Metered(through_sdk, bench.embedded_pid())
            found = interleave((direct, metered, *slow), size, rounds, say)
            judge(findings, size, found[metered.name], found[direct.name])
            tell_work(findings, size, metered)
            if slow:
                judge_held_back(findings, size, found[_HELD_BACK], found[direct.name])
    return findings


def _held_back(direct: Floor) -> tuple[Floor, ...]:
    version = str(direct.engine.version()["Version"])
    return (replace(direct, name=_HELD_BACK, removals=MOST_AT_ONCE),) if may_lock_up(version) else ()


def interleave(
    contenders: Sequence[Contender], size: int, rounds: int, say: Callable[[int], None] = lambda _: None
) -> dict[str, list[Round]]:
    """Rounds by contender. Each goes first in turn, so that none always meets a machine that just worked."""
    found: dict[str, list[Round]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        say(number)
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            found[contender.name].append(_round(contender, size))
    return found


def _round(contender: Contender, size: int) -> Round:
    contender.prepare(size)
    return Round(_seconds(contender.up), _seconds(contender.down))


def _seconds(function: Callable[[], None]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def judge(findings: Findings, size: int, ours: Sequence[Round], direct: Sequence[Round]) -> None:
    """Adds the lines of one size."""
    plural = "s" if size > 1 else ""
    for direction, words in (("up", "apply to all ready"), ("down", "delete to all gone")):
        name = f"{size}_{direction}"
        samples = findings.keep(
            f"{name}_e2e_s", [getattr(each, direction) for each in ours], floor=f"{name}_floor_s"
        )
        base = findings.keep(f"{name}_floor_s", [getattr(each, direction) for each in direct])
        findings.details[f"{name}_ratios"] = pairwise_ratios(samples, base)
        findings.add(
            Line(
                what=f"{size} workload{plural}, {words}",
                value=median(samples),
                unit="s",
                count=len(samples),
                spread=(min(samples), max(samples)),
                floor=median(base),
                ratio=median(samples) / median(base),
                budget=budgets.FLEET if size == 40 else None,
                judged="ratio",
            )
        )
        if size == 1 and direction == "up":
            _judge_one(findings, samples, base)


def tell_work(findings: Findings, size: int, metered: Metered) -> None:
    """Adds e2e's own processor time: what is left to win where the machine is busy all the time."""
    for direction, works in (("up", metered.ups), ("down", metered.downs)):
        samples = findings.keep(f"{size}_{direction}_own_processor_s", [work.own for work in works])
        machine = median([work.machine for work in works])
        findings.add(
            Line(
                what=f"{size} workload{'s' if size > 1 else ''} {direction}, e2e's own processor time",
                value=median(samples),
                unit="s",
                count=len(samples),
                spread=(min(samples), max(samples)),
                note=f"of {machine:.1f} s that the machine worked",
            )
        )


def judge_held_back(
    findings: Findings, size: int, held_back: Sequence[Round], direct: Sequence[Round]
) -> None:
    """Adds what the engine itself needs when it is asked to remove only a few at once."""
    samples = findings.keep(f"{size}_down_held_back_s", [each.down for each in held_back])
    base = median([each.down for each in direct])
    findings.add(
        Line(
            what=f"{size} workloads, the engine alone, {MOST_AT_ONCE} leave at once",
            value=median(samples),
            unit="s",
            count=len(samples),
            spread=(min(samples), max(samples)),
            floor=base,
            ratio=median(samples) / base,
            note="moby issue 46661",
        )
    )


def _judge_one(findings: Findings, samples: Sequence[float], base: Sequence[float]) -> None:
    differences = [1000 * difference for difference in pairwise_differences(samples, base)]
    findings.keep("one_workload_above_floor_ms", differences)
    findings.add(
        Line(
            what="1 workload, what that is above the floor",
            value=median(differences),
            unit="ms",
            count=len(differences),
            spread=(min(differences), max(differences)),
            budget=budgets.ONE_WORKLOAD,
        )
    )
