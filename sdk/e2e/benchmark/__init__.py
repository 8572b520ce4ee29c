"""What workloads use while something is done to them, and which of two ways to do it takes less.

    with e2e.monitoring.start(env) as monitoring:
        with e2e.benchmark.measure(monitoring, "queries", queries={"requests": RATE}) as phase:
            put_load_on(querier)
        print(phase.report)
        phase.report.write("reports")  # JSON, Markdown, and a page with plots

    comparison = e2e.benchmark.compare(old_way, new_way)
    assert comparison.verdict != "slower", comparison

With an `AsyncMonitoring` it is `async with e2e.benchmark.measure(...)`, and `await compare_async(...)`.
"""

from collections.abc import Mapping
from typing import TypedDict, Unpack, overload

from e2e._sync import benchmark as _sync
from e2e._sync.benchmark import MeasuredPhase
from e2e._sync.queries import Queries
from e2e.aio import benchmark as _aio
from e2e.aio.benchmark import AsyncMeasuredPhase
from e2e.aio.queries import AsyncQueries
from e2e.benchmark.asked import QueryFigures, SeriesFigures
from e2e.benchmark.comparison import Compared, Comparison
from e2e.benchmark.report import Report
from e2e.benchmark.turns import compare, compare_async
from e2e.benchmark.usage import Usage

__all__ = [
    "AsyncMeasuredPhase",
    "Compared",
    "Comparison",
    "MeasureOptions",
    "MeasuredPhase",
    "QueryFigures",
    "Report",
    "SeriesFigures",
    "Usage",
    "compare",
    "compare_async",
    "measure",
]


class MeasureOptions(TypedDict, total=False):
    """What `measure` may be given; all are optional, and told by its help."""

    queries: Mapping[str, str] | None
    step: float | None
    settle: float | None


@overload
def measure(monitoring: Queries, name: str = "phase", **options: Unpack[MeasureOptions]) -> MeasuredPhase: ...
@overload
def measure(
    monitoring: AsyncQueries, name: str = "phase", **options: Unpack[MeasureOptions]
) -> AsyncMeasuredPhase: ...
def measure(
    monitoring: Queries | AsyncQueries, name: str = "phase", **options: Unpack[MeasureOptions]
) -> MeasuredPhase | AsyncMeasuredPhase:
    """A block whose workloads are measured, with a monitoring of either kind."""
    if isinstance(monitoring, AsyncQueries):
        return _aio.measure(monitoring, name, **options)
    return _sync.measure(monitoring, name, **options)


measure.__doc__ = _sync.measure.__doc__
