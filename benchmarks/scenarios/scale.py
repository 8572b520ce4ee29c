"""How cost grows with number: of workloads on the engine, and of objects on the fake driver.

What is told is the time per object, which should stay flat, and the controller's memory.
"""

import json
import subprocess
import sys
from typing import Any

import e2e
from benchmarks.bench import Bench
from benchmarks.contenders import ThroughSdk, floor
from benchmarks.controller_process import ControllerProcess
from benchmarks.gauge import usage
from benchmarks.report import Findings, Line
from benchmarks.scenarios.fleet import interleave

CONTAINERS = (10, 50, 100, 200)
OBJECTS = (100, 500, 1000, 5000)
_QUICK = 2
"""How many of the sizes a quick run tries."""


def run(bench: Bench) -> Findings:
    """Lines for each size of both curves."""
    findings = Findings()
    most = _QUICK if bench.options.quick else None
    _on_the_engine(bench, findings, CONTAINERS[:most])
    for count in OBJECTS[:most]:
        bench.say(f"{count} objects on the fake driver")
        _on_the_fake(bench, findings, count)
    return findings


def _on_the_engine(bench: Bench, findings: Findings, sizes: tuple[int, ...]) -> None:
    image = bench.options.image
    with (
        ControllerProcess(bench.state_folder("scale")) as controller,
        bench.environment("scale", controller.address) as environment,
        e2e.Client.connect(controller.address) as client,
        floor(bench.engine, bench.run, image, bench.options.threads) as direct,
    ):
        for size in sizes:
            bench.say(f"{size} workloads")
            found = interleave((direct, ThroughSdk(environment, client, image)), size, rounds=1)
            (ours,), (base,) = found["e2e"], found["floor"]
            for direction in ("up", "down"):
                seconds, least = getattr(ours, direction), getattr(base, direction)
                title = f"Workloads {direction}: seconds by number"
                _point(findings, title, "e2e", size, seconds)
                _point(findings, title, "floor", size, least)
                findings.add(
                    Line(
                        what=f"{size} workloads {direction}, each",
                        value=1000 * seconds / size,
                        unit="ms",
                        floor=1000 * least / size,
                        ratio=seconds / least,
                    )
                )
            findings.add(Line("the controller's memory after that", usage(controller.pid).resident, "MB"))


def _on_the_fake(bench: Bench, findings: Findings, count: int) -> None:
    folder = bench.folder / f"fake-scale-{count}"
    program = [sys.executable, "-m", "benchmarks.fake_scale", str(folder), bench.options.image, str(count)]
    ended = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    findings.details[f"fake_{count}"] = found
    for what, words in (
        ("create", "dropped to ready"),
        ("change", "changed to ready"),
        ("remove", "removed"),
    ):
        each = 1000 * found[f"{what}_s"] / count
        findings.add(Line(f"{count} objects on the fake driver, {words}, each", each, "ms"))
        _point(findings, "Objects on the fake driver: ms each by number", words, count, each)
    findings.add(Line("memory at the most, the fake engine's included", found["peak_mb"], "MB"))


def _point(findings: Findings, title: str, name: str, number: int, value: float) -> None:
    findings.curves.setdefault(title, {}).setdefault(name, []).append((number, value))
