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
    workloads = options.rest_workloads
    judged = workloads >= BUDGETED_WORKLOADS
    note = "" if judged else f"budget: at {BUDGETED_WORKLOADS}"
    share = 100 * sum(spent) / len(spent)
    findings.add(
        Line(
            what=f"{workloads} workloads at rest, of one core",
            value=share,
            unit="%",
            count=len(spent),
            spread=(100 * min(spent), 100 * max(spent)),
            budget=budgets.REST_PROCESSOR,
            note=note,
        ),
        Line(
            what=f"{workloads} workloads at rest, resident memory",
            value=full.resident,
            unit="MB",
            budget=budgets.REST_MEMORY,
            note=note,
        ),
        Line("resident memory without workloads", empty.resident, "MB"),
    )
    return findings


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
