"""Monitoring in one call: a Prometheus that watches an environment, and answers PromQL.

    with e2e.Environment() as env:
        monitoring = e2e.monitoring.start(env)
        ...
        monitoring.wait_query('rate(http_requests_total{job="web"}[5s])', greater(10))

With an `AsyncEnvironment` it is awaited: `await e2e.monitoring.start(env)`.
"""

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from e2e._sync import monitoring as _sync
from e2e._sync.environment import Environment
from e2e._sync.monitoring import Monitoring
from e2e.aio import monitoring as _aio
from e2e.aio.environment import AsyncEnvironment
from e2e.aio.monitoring import AsyncMonitoring
from e2e.prometheus.results import (
    Alert,
    Matrix,
    QueryResult,
    Range,
    Sample,
    Scalar,
    ScrapeTarget,
    Text,
    Vector,
)

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = [
    "Alert",
    "AsyncMonitoring",
    "Matrix",
    "Monitoring",
    "MonitoringOptions",
    "QueryResult",
    "Range",
    "Sample",
    "Scalar",
    "ScrapeTarget",
    "Text",
    "Vector",
    "start",
]


class MonitoringOptions(TypedDict, total=False):
    """What `start` may be given; all are optional, and told by its help."""

    name: str
    scrape_interval: float
    image: str
    cadvisor: bool
    registry: "CollectorRegistry | None"
    rules: str | Mapping[str, Any] | None
    test_process: bool
    current_process_as_container: bool | str
    engine_data: str
    engine_socket: str
    timeout: float | None


@overload
def start(env: Environment, **options: Unpack[MonitoringOptions]) -> Monitoring: ...
@overload
def start(
    env: AsyncEnvironment, **options: Unpack[MonitoringOptions]
) -> Coroutine[Any, Any, AsyncMonitoring]: ...
def start(
    env: Environment | AsyncEnvironment, **options: Unpack[MonitoringOptions]
) -> Monitoring | Coroutine[Any, Any, AsyncMonitoring]:
    """Starts monitoring in an environment of either kind."""
    if isinstance(env, AsyncEnvironment):
        return _aio.start(env, **options)
    return _sync.start(env, **options)


start.__doc__ = _sync.start.__doc__
