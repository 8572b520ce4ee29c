"""Measures, prints the table, writes the JSON. Exits with 1 when a scenario broke, 130 when interrupted."""

import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import docker.errors
from rich.console import Console

from benchmarks import machine, markdown, options, page
from benchmarks.bench import Bench
from benchmarks.peers.installed import installed
from benchmarks.peers.scenarios import PEER_SCENARIOS
from benchmarks.report import Report
from benchmarks.scenarios import SCENARIOS
from benchmarks.table import make_console, render

ALL = SCENARIOS | PEER_SCENARIOS
EXIT_BROKEN, EXIT_NO_ENGINE, EXIT_INTERRUPTED = 1, 2, 130


def main() -> int:
    """Runs what the command line asks for."""
    chosen = options.parse(sys.argv[1:], list(ALL))
    signal.signal(signal.SIGTERM, _interrupt)
    progress, console = Console(stderr=True, highlight=False), make_console()
    try:
        with Bench(chosen, lambda text: progress.print(text, style="dim")) as bench:
            report = Report(_describe(bench), chosen.document())
            _measure(bench, report)
    except docker.errors.DockerException as error:
        progress.print(f"no container engine answers: {error}; `make engine` starts one", style="bold red")
        return EXIT_NO_ENGINE
    except KeyboardInterrupt:
        progress.print("interrupted", style="bold red")
        return EXIT_INTERRUPTED
    for part in render(report):
        console.print(part)
    path = report.write(chosen.output, datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
    path.with_suffix(".md").write_text(markdown.document(report))
    path.with_suffix(".html").write_text(page.document(report))
    console.print(f"all samples: {path}; with plots: {path.with_suffix('.html')}")
    return EXIT_BROKEN if report.failures else 0


def _describe(bench: Bench) -> dict[str, Any]:
    versions = {name: peer.version for name, peer in installed().items() if peer.version}
    return machine.describe(bench.engine) | ({"peers": versions} if bench.options.peers else {})


def _measure(bench: Bench, report: Report) -> None:
    """One scenario that breaks does not end the others."""
    for name in bench.options.only or (PEER_SCENARIOS if bench.options.peers else SCENARIOS):
        try:
            report.findings[name] = ALL[name](bench)
        except Exception as error:
            traceback.print_exc()
            report.failures[name] = f"{type(error).__name__}: {error}"
    report.machine = {**report.machine, "load_after": list(os.getloadavg())}


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
