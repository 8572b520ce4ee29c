"""From the moment at which a metric reaches a value to the moment at which a waiter is told.

The page of metrics is a file in the workload's directory, which the benchmark replaces, by renaming, at an
instant that it notes.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench
from benchmarks.contenders import remove_all, server_options
from benchmarks.report import Findings, Line
from benchmarks.waiting import Waiting, rest
from e2e.statistics import percentile

SOON, SLOW = 0.5, 5.0
SLOW_WORKLOADS = 8
_METRIC = "benchmark_value"
_PAGE = "metrics.txt"


def run(bench: Bench) -> Findings:
    """Lines for a wait that is short, and for one that is long: the controller looks less often then."""
    findings, trials = Findings(), bench.options.trials
    slow_trials = max(1, trials // SLOW_WORKLOADS // 2)
    with bench.environment("metric") as environment, e2e.Client.connect() as client:
        workloads = [_workload(bench, environment, number) for number in range(SLOW_WORKLOADS)]
        environment.start_and_wait_ready(*workloads)
        bench.say(f"metric after {SOON} s of waiting, {trials} trials")
        soon = findings.keep("soon_ms", [_trial(workloads[0], n, SOON) for n in range(trials)])
        bench.say(f"metric after {SLOW} s of waiting, {slow_trials} trials of {SLOW_WORKLOADS} workloads")
        with ThreadPoolExecutor(SLOW_WORKLOADS) as pool:
            found = pool.map(
                lambda workload: [_trial(workload, trials + n, SLOW) for n in range(slow_trials)], workloads
            )
            slow = findings.keep("slow_ms", [lag for each in found for lag in each])
        remove_all(client, environment, workloads)
    for lags, after in ((soon, SOON), (slow, SLOW)):
        findings.add(
            Line(
                what=f"metric reaches value to waiter told, after {after:g} s, p50",
                value=percentile(lags, 50),
                unit="ms",
                count=len(lags),
                spread=(min(lags), max(lags)),
                budget=budgets.METRIC_MEDIAN,
            ),
            Line(f"the same after {after:g} s, p99", percentile(lags, 99), "ms"),
        )
    return findings


def _workload(bench: Bench, environment: e2e.Environment, number: int) -> e2e.Workload:
    name = f"metric-{number}"
    options = server_options(bench.options.image, folder=str(environment.shared_dir / name), page=f"/{_PAGE}")
    options["metrics"] = e2e.Metrics(port="http", path=f"/{_PAGE}")
    workload = environment.workload(name, **options)
    _serve(workload.dir, -1)
    return workload


def _trial(workload: e2e.Workload, value: int, pause: float) -> float:
    """In ms."""
    waiting = Waiting(lambda: workload.wait_sum_metrics(e2e.greater_or_equal(value), _METRIC))
    rest(pause)
    instant = _serve(workload.dir, value)
    return 1000 * (waiting.told() - instant)


def _serve(folder: Path, value: int) -> float:
    """Replaces the page, and gives the instant."""
    new = folder / f".{_PAGE}"
    new.write_text(f"# TYPE {_METRIC} gauge\n{_METRIC} {value}\n")
    instant = time.perf_counter()
    new.replace(folder / _PAGE)
    return instant
