"""How many calls to the engine one workload costs, and how long the controller's reconciles take.

From the controller's own metrics, before and after. Other figures vary with the machine; these do not.
"""

import re
import socket
import urllib.request
from collections.abc import Mapping
from typing import Any

import e2e
from benchmarks.bench import Bench
from benchmarks.contenders import ThroughSdk
from benchmarks.controller_process import ControllerProcess
from benchmarks.gauge import usage
from benchmarks.report import Findings, Line

WORKLOADS = 10
_CALLS = re.compile(
    r'^e2e_engine_call_duration_seconds_(count|sum)\{call="([^"]+)".*?\} (\S+)$', re.MULTILINE
)
_RECONCILES = re.compile(r"^e2e_reconciles_total\{.*\} (\S+)$", re.MULTILINE)
Calls = Mapping[str, tuple[float, float]]
"""Number and seconds, by call."""


def run(bench: Bench) -> Findings:
    """Lines for the way up and the way down."""
    findings, address = Findings(), f"127.0.0.1:{_free_port()}"
    state = bench.state_folder("calls")
    with (
        ControllerProcess(state, "--http", address) as controller,
        bench.environment("calls", controller.address) as environment,
        e2e.Client.connect(controller.address) as client,
    ):
        fleet = ThroughSdk(environment, client, bench.options.image)
        bench.say(f"engine calls of {WORKLOADS} workloads")
        for direction, what in (("up", "apply to ready"), ("down", "delete to gone")):
            if direction == "up":
                fleet.prepare(WORKLOADS)
            before, processor = _page(address), usage(controller.pid).processor
            (fleet.up if direction == "up" else fleet.down)()
            page, spent = _page(address), usage(controller.pid).processor - processor
            details = _details(before, page, spent)
            findings.details[direction] = details
            findings.add(
                Line(f"engine calls per workload, {what}", details["engine_calls"], ""),
                Line(f"processor time per workload, {what}", details["processor_ms"], "ms"),
            )
    return findings


def _details(before: str, after: str, processor: float) -> dict[str, Any]:
    """All per workload."""
    old, new = engine_calls(before), engine_calls(after)
    spent = {
        call: (count - old.get(call, (0, 0))[0], seconds - old.get(call, (0, 0))[1])
        for call, (count, seconds) in new.items()
    }
    return {
        "engine_calls": sum(count for count, _ in spent.values()) / WORKLOADS,
        "by_call": {call: count / WORKLOADS for call, (count, _) in spent.items() if count},
        "mean_ms": {call: 1000 * seconds / count for call, (count, seconds) in spent.items() if count},
        "reconciles": (_reconciles(after) - _reconciles(before)) / WORKLOADS,
        "processor_ms": 1000 * processor / WORKLOADS,
    }


def engine_calls(page: str) -> Calls:
    """Number and seconds so far, by call, from a page of the controller's metrics."""
    found: dict[str, dict[str, float]] = {}
    for what, call, value in _CALLS.findall(page):
        sums = found.setdefault(call, {"count": 0.0, "sum": 0.0})
        sums[what] += float(value)
    return {call: (sums["count"], sums["sum"]) for call, sums in found.items()}


def _reconciles(page: str) -> float:
    return sum(float(value) for value in _RECONCILES.findall(page))


def _page(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        return str(response.read().decode())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
