"""Profiles of all that is profiled in an environment, taken again and again: a Parca beside it.

    with e2e.profiling.start(env) as profiling:
        ...
        profiling.open_in_browser()

With an `AsyncEnvironment` it is awaited: `await e2e.profiling.start(env)`.
"""

from collections.abc import Coroutine
from typing import Any, TypedDict, Unpack, overload

from e2e._sync import profiling as _sync
from e2e._sync.environment import Environment
from e2e._sync.profiling import Profiling
from e2e.aio import profiling as _aio
from e2e.aio.environment import AsyncEnvironment
from e2e.aio.profiling import AsyncProfiling
from e2e.parca import IMAGE

__all__ = ["IMAGE", "AsyncProfiling", "Profiling", "ProfilingOptions", "start"]


class ProfilingOptions(TypedDict, total=False):
    """What `start` may be given; all are optional, and told by its help."""

    name: str
    scrape_interval: int
    image: str
    timeout: float | None


@overload
def start(env: Environment, **options: Unpack[ProfilingOptions]) -> Profiling: ...
@overload
def start(
    env: AsyncEnvironment, **options: Unpack[ProfilingOptions]
) -> Coroutine[Any, Any, AsyncProfiling]: ...
def start(
    env: Environment | AsyncEnvironment, **options: Unpack[ProfilingOptions]
) -> Profiling | Coroutine[Any, Any, AsyncProfiling]:
    """Starts profiling in an environment of either kind."""
    if isinstance(env, AsyncEnvironment):
        return _aio.start(env, **options)
    return _sync.start(env, **options)


start.__doc__ = _sync.start.__doc__
