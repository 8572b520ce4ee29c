"""Many who wait for one workload, many who watch it, and a metrics page of 100,000 series.

All clients are in this process, so part of a lag is that the last of a thousand is told after the first.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import e2e
from benchmarks.bench import WAIT_SECONDS, Bench
from benchmarks.contenders import server_options
from benchmarks.controller_process import ControllerProcess
from benchmarks.gauge import usage
from benchmarks.report import Findings, Line
from e2e.aio import AsyncClient
from e2e.messages import container_key, expectation_message, selection_message
from e2e.statistics import percentile
from e2e.values import Absent, Goal
from e2e_api.v1 import manifest_service_pb2, metric_service_pb2

WAITERS, WATCHERS, SERIES = 1000, 200, 100_000
_FEWER = 20
"""How many times fewer in a quick run."""
_SETTLE = 2.0
_READY, _METRICS = "ready", "metrics.txt"
_RAISED, _SERIES = "benchmark_raised", "benchmark_series"

_Wait = Callable[[AsyncClient], Awaitable[object]]
"""Returns when its caller is told."""


def run(bench: Bench) -> Findings:
    """Lines for waiters of two kinds, watchers, and the page."""
    findings, fewer = Findings(), _FEWER if bench.options.quick else 1
    waiters, watchers, series = WAITERS // fewer, WATCHERS // fewer, SERIES // fewer
    with (
        ControllerProcess(bench.state_folder("crowd")) as controller,
        bench.environment("crowd", controller.address) as environment,
    ):
        crowd = _Crowd(bench, controller, environment)
        crowd.measure(findings, f"ready to {waiters} waiters told", waiters, crowd.ready, crowd.make_ready)
        crowd.measure(findings, f"ready to {watchers} watchers told", watchers, crowd.seen, crowd.make_ready)
        crowd.measure(
            findings, f"metric to {waiters} waiters told", waiters, crowd.raised, crowd.raise_metric
        )
        crowd.fill(series)
        crowd.measure(
            findings, f"metric among {series:,} series to told", 1, crowd.raised, crowd.raise_metric
        )
    return findings


class _Crowd:
    """One workload whose readiness and metrics are files in its folder, and those who wait for it."""

    def __init__(self, bench: Bench, controller: ControllerProcess, environment: e2e.Environment) -> None:
        self._bench = bench
        self._controller = controller
        options = server_options(bench.options.image, folder=str(environment.shared_dir / "crowd"))
        options["readiness"] = e2e.Readiness.model_validate(
            {"http": e2e.HttpProbe(port="http", path=f"/{_READY}"), "period": "100ms", "failure_threshold": 1}
        )
        options["metrics"] = e2e.Metrics(port="http", path=f"/{_METRICS}")
        self._workload = environment.workload("crowd", **options)
        self._key = container_key(environment.name, "crowd")
        self._folder: Path = self._workload.dir
        self._value, self._padding = 0, ""
        self.raise_metric()
        self._workload.start()
        self._workload.wait_running()

    def measure(
        self, findings: Findings, what: str, count: int, wait: _Wait, act: Callable[[], float]
    ) -> None:
        """Lets so many wait, acts, and adds lines for how long after the act they were told."""
        self._bench.say(what)
        (self._folder / _READY).unlink(missing_ok=True)
        self._workload.wait_not_ready()
        before = usage(self._controller.pid).processor
        began = time.perf_counter()
        lags = findings.keep(what.replace(" ", "_") + "_ms", asyncio.run(self._lags(count, wait, act)))
        after = usage(self._controller.pid)
        share = 100 * (after.processor - before) / (time.perf_counter() - began)
        spread = min(lags), max(lags)
        findings.add(
            Line(f"{what}, p50", percentile(lags, 50), "ms", len(lags), spread),
            Line("the same, p99", percentile(lags, 99), "ms"),
            Line("the controller's memory after that", after.resident, "MB"),
            Line("of one core, while they waited", share, "%"),
        )

    async def _lags(self, count: int, wait: _Wait, act: Callable[[], float]) -> list[float]:
        async with await AsyncClient.connect(self._controller.address) as client:

            async def told() -> float:
                await wait(client)
                return time.perf_counter()

            waits = [asyncio.create_task(told()) for _ in range(count)]
            await asyncio.sleep(_SETTLE)
            instant = await asyncio.to_thread(act)
            return [1000 * (moment - instant) for moment in await asyncio.gather(*waits)]

    async def ready(self, client: AsyncClient) -> None:
        """Waits until the workload is ready."""
        await client.wait([self._key], Goal.READY, WAIT_SECONDS)

    async def seen(self, client: AsyncClient) -> None:
        """Watches until the workload is seen to be ready."""
        transport = client.transport
        request = manifest_service_pb2.WatchRequest(environment=self._key.environment)
        async with transport.stream(transport.manifests.Watch, request, WAIT_SECONDS) as responses:
            async for response in responses:
                if response.object.key == self._key and response.object.status.summary == "Ready":
                    return

    async def raised(self, client: AsyncClient) -> None:
        """Waits until the metric has its next value."""
        expected = expectation_message(e2e.greater_or_equal(self._value + 1))
        selection = selection_message([self._key], [_RAISED], (), False, Absent.WAIT)
        request = metric_service_pb2.WaitMetricsRequest(selection=selection, expectation=expected)
        transport = client.transport
        await transport.unary(transport.metrics.WaitMetrics, request, WAIT_SECONDS)

    def make_ready(self) -> float:
        """Gives the instant."""
        instant = time.perf_counter()
        (self._folder / _READY).touch()
        return instant

    def raise_metric(self) -> float:
        """Gives the instant."""
        self._value += 1
        new = self._folder / "new"
        new.write_text(f"{self._padding}# TYPE {_RAISED} gauge\n{_RAISED} {self._value}\n")
        instant = time.perf_counter()
        new.replace(self._folder / _METRICS)
        return instant

    def fill(self, series: int) -> None:
        """Puts so many other series before it on the page."""
        lines = (f'{_SERIES}{{number="{number}",label="a value"}} {number}\n' for number in range(series))
        self._padding = f"# TYPE {_SERIES} gauge\n{''.join(lines)}"
        self.raise_metric()
