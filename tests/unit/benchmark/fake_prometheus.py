"""A Prometheus whose time goes on by itself, and whose targets are looked at once a second."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from e2e import AsyncQueries, Queries
from e2e.prometheus.results import Matrix, QueryResult, Range, Sample, Scalar, Vector
from e2e_api.errors import InvalidArgument

BEGIN = 1000.0
Told = Callable[[float], float | None]
"""The value at a time; None where it is not there."""


class FakeTime:
    """Stands in for the module `time`, and for the pause of a wait."""

    def __init__(self) -> None:
        self.now = BEGIN

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Known:
    """What it is told, and what it answers."""

    def __init__(self, clock: FakeTime) -> None:
        self.clock = clock
        self.series: list[tuple[Mapping[str, str], Told]] = []
        self.asked: list[str] = []
        self.over_time: dict[str, Matrix] = {}
        self.now: dict[str, QueryResult] = {}
        self.looks_until = math.inf
        """No target is looked at after that."""
        self.look_every = 1
        """Seconds."""
        self.tell("up", lambda _at: 1.0, job="web", instance="web:80")

    def tell(self, metric: str, told: Told, **labels: str) -> None:
        self.series.append(({"__name__": metric, **labels}, told))

    def query(self, promql: str, time: Any = None) -> QueryResult:
        self.asked.append(promql)
        now = self.clock.now if time is None else time
        if promql == "time()":
            return Scalar(_at(now), now)
        if selected := re.match(r'(?:{__name__=~"([^"]+)".*}|(up))\[(\d+)ms\]$', promql):
            return self._selected((selected[1] or "up").split("|"), now - int(selected[3]) / 1000, now)
        if promql == "up":
            return self._present(promql)
        if promql.startswith("{__name__") and promql.endswith("}"):
            return self._present(promql)
        if promql in self.now:
            return self.now[promql]
        raise InvalidArgument("parse error", reason="BadQuery")

    def _present(self, promql: str) -> Vector:
        """What the last look saw."""
        at = float(int(self.clock.now) // self.look_every * self.look_every)
        found = [(labels, told(at)) for labels, told in self.series if labels["__name__"] in promql]
        return Vector(tuple(Sample(labels, _at(at), value) for labels, value in found if value is not None))

    def query_range(self, promql: str, start: Any, end: Any, step: Any) -> Matrix:
        self.asked.append(f"{promql} {start:.0f} {end:.0f} {step:.1f}")
        if promql not in self.over_time:
            raise InvalidArgument("too many points", reason="BadQuery")
        return self.over_time[promql]

    def _selected(self, names: list[str], start: float, end: float) -> Matrix:
        found = []
        for labels, told in self.series:
            looks = [
                (float(at), told(at))
                for at in range(int(start) + 1, int(min(end, self.looks_until)) + 1)
                if at % self.look_every == 0
            ]
            known = [(at, value) for at, value in looks if value is not None]
            if labels["__name__"] in names and known:
                found.append(
                    Range(labels, tuple(_at(at) for at, _ in known), tuple(value for _, value in known))
                )
        return Matrix(tuple(found))


class FakeMonitoring(Queries):
    def __init__(self, known: Known) -> None:
        self.known = known
        self._prometheus: Any = SimpleNamespace(_session=SimpleNamespace(environment="shop"))

    def query(self, promql: str, time: Any = None) -> QueryResult:
        return self.known.query(promql, time)

    def query_range(self, promql: str, start: Any, end: Any, step: Any) -> Matrix:
        return self.known.query_range(promql, start, end, step)


class FakeAsyncMonitoring(AsyncQueries):
    def __init__(self, known: Known) -> None:
        self.known = known
        self._prometheus: Any = SimpleNamespace(_session=SimpleNamespace(environment="shop"))

    async def query(self, promql: str, time: Any = None) -> QueryResult:
        return self.known.query(promql, time)

    async def query_range(self, promql: str, start: Any, end: Any, step: Any) -> Matrix:
        return self.known.query_range(promql, start, end, step)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def matrix(**labels_and_values: float) -> Matrix:
    """One series for each name, as label `code`, of one value."""
    return Matrix(
        tuple(Range({"code": name}, (_at(BEGIN),), (value,)) for name, value in labels_and_values.items())
    )


def vector(value: float) -> Vector:
    return Vector((Sample({}, _at(BEGIN), value),))
