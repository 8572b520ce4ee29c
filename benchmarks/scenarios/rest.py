"""What the controller uses while workloads are ready and nothing happens.

Probes go on (every 10 s each, the default), and once a minute there is a full look at the engine: the default
time of measuring is a minute, so that one of those is in it.
"""

import time

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench
from benchmarks.contenders import ThroughSdk
from benchmarks.controller_process import ControllerProcess
from benchmarks.gauge import usage
from benchmarks.report import Findings, Line

_SETTLE = 3.0
BUDGETED_WORKLOADS = 200
PROJECTED_WORKLOADS = 40
"""From fewer, what 200 would need cannot be told."""


def run(bench: Bench) -> Findings:
    """Lines for processor and memory."""
    options, findings = bench.options, Findings()
    state = bench.state_folder("rest")
    with (
        ControllerProcess(state) as controller,
        bench.environment("rest", controller.address) as environment,
        e2e.Client.connect(controller.address) as client,
    ):
        empty = usage(controller.pid)
        fleet = ThroughSdk(environment, client, options.image)
        fleet.prepare(options.rest_workloads)
        bench.say(f"{options.rest_workloads} workloads come, to rest")
        fleet.up()
        time.sleep(_SETTLE)
        bench.say(f"{options.rest_workloads} workloads rest for {options.rest_seconds:g} s")
        spent = findings.keep("processor_each_second_s", _watch(controller.pid, options.rest_seconds))
        full = usage(controller.pid)
        fleet.down()
    findings.details.update(
        workloads=options.rest_workloads, resident_empty_mb=empty.resident, threads=full.threads
    )
    findings.add(*lines(options.rest_workloads, spent, empty.resident, full.resident))
    return findings


def lines(workloads: int, spent: list[float], empty: float, full: float) -> list[Line]:
    """What was measured; where the budget is about more workloads, also what those would need."""
    share = 100 * sum(spent) / len(spent)
    spread = (100 * min(spent), 100 * max(spent))
    times = BUDGETED_WORKLOADS / workloads
    judged = workloads >= BUDGETED_WORKLOADS
    processor = budgets.REST_PROCESSOR if judged else None
    memory = budgets.REST_MEMORY if judged else None
    what = f"{workloads} workloads at rest"
    lines = [
        Line(f"{what}, of one core", share, "%", len(spent), spread, budget=processor),
        Line(f"{what}, resident memory", full, "MB", budget=memory),
        Line("resident memory without workloads", empty, "MB"),
    ]
    if PROJECTED_WORKLOADS <= workloads < BUDGETED_WORKLOADS:
        words = f"in proportion, {BUDGETED_WORKLOADS} workloads at rest"
        grown = empty + (full - empty) * times
        lines += [
            Line(f"{words}, of one core", share * times, "%", budget=budgets.REST_PROCESSOR),
            Line(f"{words}, resident memory", grown, "MB", budget=budgets.REST_MEMORY),
        ]
    return lines


def _watch(pid: int, seconds: float) -> list[float]:
    """Processor seconds in each second."""
    found = []
    before = usage(pid).processor
    for _ in range(max(1, round(seconds))):
        time.sleep(1)
        now = usage(pid).processor
        found.append(now - before)
        before = now
    return found
