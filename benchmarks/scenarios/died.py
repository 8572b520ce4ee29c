"""From the death of a container to the moment at which a waiter is told why.

The waiter waits for a workload to be ready that never will be. Its container is killed through the engine,
and the clock runs from the kill call, so that all that the engine does about it is in the figure. The floor
is what a program needs that asks the engine itself: kill, the engine's event of the death, one inspect, the
log. (While the engine takes a dead container's network down, it answers neither of the last two.)
"""

import time
from dataclasses import dataclass
from datetime import datetime
from threading import Condition, Thread
from typing import Any, Self

from docker import APIClient

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench, connect
from benchmarks.contenders import Floor, floor, remove_all, server_command, server_options
from benchmarks.report import Findings, Line
from benchmarks.waiting import Waiting, rest
from e2e.statistics import percentile

_AT_ONCE = 10
_PAUSE = 0.3
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Death:
    """Ms from the kill call to the engine's event and to knowing why, and from the death to knowing why."""

    event: float
    told: float
    after_death: float


def run(bench: Bench) -> Findings:
    """Lines for e2e and, of the floor, for the event alone."""
    findings, options = Findings(), bench.options
    ours: list[Death] = []
    direct: list[Death] = []
    batches = max(1, options.trials // _AT_ONCE // 2)
    with (
        bench.environment("died") as environment,
        e2e.Client.connect() as client,
        floor(bench.engine, bench.run, options.image, options.threads) as engine,
        Deaths() as deaths,
    ):
        for batch in range(batches):
            bench.say(f"died, {_AT_ONCE} trials, batch {batch + 1} of {batches}")
            workloads = _start(environment, options.image, batch)
            for workload in workloads:
                ours.append(_through_sdk(bench.engine, deaths, workload))
                direct.append(_by_hand(engine, deaths, f"{bench.run}-{workload.name}"))
            remove_all(client, environment, workloads)
    for name, found in (("e2e", ours), ("floor", direct)):
        floor_samples = "floor_told_ms" if name == "e2e" else None
        findings.keep(f"{name}_told_ms", [death.told for death in found], floor_samples)
        findings.keep(f"{name}_event_ms", [death.event for death in found])
        findings.keep(f"{name}_after_death_ms", [death.after_death for death in found])
    findings.add(*_lines(findings.samples))
    return findings


def _lines(samples: dict[str, list[float]]) -> list[Line]:
    told, base = samples["e2e_told_ms"], samples["floor_told_ms"]
    middle, floor_middle = percentile(told, 50), percentile(base, 50)
    return [
        Line(
            what="container killed to waiter told why, p50",
            value=middle,
            unit="ms",
            count=len(told),
            spread=(min(told), max(told)),
            floor=floor_middle,
            ratio=middle / floor_middle,
            budget=budgets.DIED,
        ),
        Line(
            what="the same, p99",
            value=percentile(told, 99),
            unit="ms",
            floor=percentile(base, 99),
            budget=budgets.DIED,
        ),
        Line("killed to the engine's event, p50", percentile(samples["floor_event_ms"], 50), "ms"),
    ]


def _start(environment: e2e.Environment, image: str, batch: int) -> list[e2e.Workload]:
    options = server_options(image, page="/never-there")
    workloads = [environment.workload(f"dies-{batch}-{number}", **options) for number in range(_AT_ONCE)]
    for workload in workloads:
        workload.start()
    for workload in workloads:
        workload.wait_running()
    return workloads


def _through_sdk(engine: APIClient, deaths: "Deaths", workload: e2e.Workload) -> Death:
    container = workload.status().container
    assert container is not None
    waiting = Waiting(workload.wait_ready, expected=e2e.WaitFailed)
    rest(_PAUSE)
    instant = time.perf_counter()
    engine.kill(container.id)
    told = waiting.told()
    return _death(engine, deaths, container.id, instant, told, waiting.wall)


def _by_hand(direct: Floor, deaths: "Deaths", name: str) -> Death:
    direct.start(name, server_command())
    engine = direct.engine
    container = engine.inspect_container(name)["Id"]
    rest(_PAUSE)
    instant = time.perf_counter()
    # In a thread: the kill call returns only when the container has ended.
    killing = Waiting(lambda: engine.kill(container))
    deaths.instant(container)
    engine.inspect_container(container)
    engine.logs(container, tail=100)
    told, wall = time.perf_counter(), time.time()
    killing.told()
    death = _death(engine, deaths, container, instant, told, wall)
    direct.remove(name)
    return death


def _death(
    engine: APIClient, deaths: "Deaths", container: str, killed: float, told: float, told_wall: float
) -> Death:
    finished = datetime.fromisoformat(engine.inspect_container(container)["State"]["FinishedAt"])
    return Death(
        event=1000 * (deaths.instant(container) - killed),
        told=1000 * (told - killed),
        after_death=1000 * (told_wall - finished.timestamp()),
    )


class Deaths:
    """When the engine's own events of deaths arrive, by container."""

    def __init__(self) -> None:
        self._engine = connect(1)
        self._stream: Any = self._engine.events(decode=True, filters={"event": "die"})
        self._instants: dict[str, float] = {}
        self._noted = Condition()
        self._thread = Thread(target=self._follow, daemon=True)

    def instant(self, container: str) -> float:
        """Of that container's death. Raises TimeoutError."""
        with self._noted:
            if not self._noted.wait_for(lambda: container in self._instants, _SECONDS):
                raise TimeoutError("the engine told of no death")
            return self._instants[container]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._thread.join()
        self._engine.close()

    def _follow(self) -> None:
        for event in self._stream:
            with self._noted:
                self._instants[event["id"]] = time.perf_counter()
                self._noted.notify_all()
