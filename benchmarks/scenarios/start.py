"""How long the embedded controller takes from its spawn until it serves, and where the time goes.

`warm`: its files are in the kernel's cache, as in every run but the first of a day. `cold`: they were pushed
out of it first, as far as the kernel lets an ordinary user do that for files that others use too.
"""

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import budgets
from benchmarks.bench import Bench, end_embedded
from benchmarks.report import Findings, Line
from e2e.embedded import Place, ensure
from e2e.statistics import median

STARTS, COLD_STARTS = 5, 3
_TOP = 10


def run(bench: Bench) -> Findings:
    """Lines for warm and cold starts, and for what is imported."""
    findings = Findings()
    quick = bench.options.quick
    bench.say("embedded start")
    cold = [_start(bench, f"cold-{number}", evict=True) for number in range(1 if quick else COLD_STARTS)]
    _start(bench, "warm", evict=False)
    warm = [_start(bench, f"warm-{number}", evict=False) for number in range(2 if quick else STARTS)]
    findings.keep("warm_s", warm)
    findings.keep("cold_s", cold)
    imports = import_times(_import_log())
    findings.details["imports"] = imports
    findings.add(
        Line(
            what="embedded controller, spawn to serving, warm",
            value=median(warm),
            unit="s",
            count=len(warm),
            spread=_spread(warm),
            budget=budgets.EMBEDDED_START,
        ),
        Line("the same, cold file cache", median(cold), "s", len(cold), _spread(cold)),
        Line("of it imports", imports["total_ms"] / 1000, "s", note="as -X importtime tells"),
    )
    return findings


def _spread(samples: list[float]) -> tuple[float, float]:
    return min(samples), max(samples)


def _start(bench: Bench, name: str, *, evict: bool) -> float:
    """Seconds, on a fresh state folder; it is ended again."""
    state = bench.state_folder(f"start-{name}")
    place = Place(state, state / "controller.sock")
    if evict:
        evict_files()
    began = time.perf_counter()
    ensure(place)
    seconds = time.perf_counter() - began
    end_embedded(place.pid_file)
    return seconds


def evict_files() -> None:
    """Asks the kernel to drop the Python files that a start reads."""
    for path in _python_files():
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _python_files() -> Iterator[Path]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    yield Path(sys.executable).resolve()
    for folder in folders:
        for path in Path(folder).rglob("*"):
            if path.suffix in (".py", ".pyc", ".so") and path.is_file():
                yield path


def _import_log() -> str:
    command = [sys.executable, "-P", "-X", "importtime", "-c", "import e2e_controller.__main__"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def import_times(log: str) -> dict[str, Any]:
    """Ms of `python -X importtime`: in all, the slowest modules, and by top-level package, children apart."""
    modules: list[tuple[float, float, str]] = []
    for line in log.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            modules.append((int(parts[0]) / 1000, int(parts[1]) / 1000, parts[2].strip()))
    packages: dict[str, float] = {}
    for own, _, name in modules:
        package = name.partition(".")[0]
        packages[package] = packages.get(package, 0.0) + own
    return {
        "total_ms": sum(own for own, _, _ in modules),
        "slowest_ms": _largest({name: own for own, _, name in modules}),
        "slowest_with_children_ms": _largest({name: whole for _, whole, name in modules}),
        "by_package_ms": _largest(packages),
    }


def _largest(figures: dict[str, float]) -> dict[str, float]:
    ordered = sorted(figures.items(), key=lambda item: item[1], reverse=True)
    return dict(ordered[:_TOP])
