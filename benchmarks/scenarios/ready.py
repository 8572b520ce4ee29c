"""From the moment at which a service is ready to the moment at which a waiter is told.

The service serves a page from its own directory, which is on the host too: it becomes ready when the
benchmark makes the page, so the benchmark knows the instant. How often the controller looks depends on how
long it has waited, so there is a variant for a service that is ready soon, and one for a slow one.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench
from benchmarks.contenders import remove_all, server_options
from benchmarks.report import Findings, Line
from benchmarks.waiting import Waiting, rest
from e2e.statistics import percentile

SOON, SLOW = 0.5, 3.0
SLOW_WORKLOADS = 4
"""At once, since each trial takes long; few enough for the controller to look as often as for one."""
_PAGE = "/page"


def run(bench: Bench) -> Findings:
    """Lines for both variants."""
    findings, trials = Findings(), bench.options.trials
    slow_trials = max(1, trials // SLOW_WORKLOADS // 2)
    with bench.environment("ready") as environment, e2e.Client.connect() as client:
        bench.say(f"ready {SOON} s after the wait began, {trials} trials")
        soon = findings.keep("soon_ms", _lags(bench, environment, client, 1, trials, SOON))
        bench.say(f"ready {SLOW} s after the wait began, {slow_trials} trials of {SLOW_WORKLOADS} workloads")
        slow = findings.keep("slow_ms", _lags(bench, environment, client, SLOW_WORKLOADS, slow_trials, SLOW))
    findings.add(
        *lag_lines(f"service ready to waiter told, after {SOON} s", soon),
        *lag_lines(f"the same, after {SLOW:g} s", slow),
    )
    return findings


def lag_lines(what: str, lags: Sequence[float]) -> tuple[Line, Line]:
    """The median and what the worst are like."""
    count, spread = len(lags), (min(lags), max(lags))
    return (
        Line(f"{what}, p50", percentile(lags, 50), "ms", count, spread, budget=budgets.READY_MEDIAN),
        Line(f"{what}, p99", percentile(lags, 99), "ms", budget=budgets.READY_P99),
    )


def _lags(
    bench: Bench, environment: e2e.Environment, client: e2e.Client, count: int, trials: int, pause: float
) -> list[float]:
    """In ms. The workloads are independent of each other; each waits and becomes ready again and again."""
    workloads = [_workload(bench, environment, f"after-{pause * 1000:.0f}-{n}") for n in range(count)]
    for workload in workloads:
        workload.start()
    for workload in workloads:
        workload.wait_running()
    with ThreadPoolExecutor(count) as pool:
        lags = pool.map(lambda workload: [_trial(workload, pause) for _ in range(trials)], workloads)
        found = [lag for each in lags for lag in each]
    remove_all(client, environment, workloads)
    return found


def _workload(bench: Bench, environment: e2e.Environment, name: str) -> e2e.Workload:
    options = server_options(bench.options.image, folder=str(environment.shared_dir / name))
    # Once its page is gone it is not ready any more after one look, and the next trial can begin.
    options["readiness"] = e2e.Readiness.model_validate(
        {
            "http": e2e.HttpProbe(port="http", path=_PAGE),
            "period": "100ms",
            "failure_threshold": 1,
            "startup_timeout": "1h",
        }
    )
    return environment.workload(name, **options)


def _trial(workload: e2e.Workload, pause: float) -> float:
    page = workload.dir / _PAGE.strip("/")
    waiting = Waiting(workload.wait_ready)
    rest(pause)
    instant = time.perf_counter()
    page.touch()
    lag = 1000 * (waiting.told() - instant)
    page.unlink()
    workload.wait_not_ready()
    return lag
