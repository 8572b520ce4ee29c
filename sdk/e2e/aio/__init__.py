"""The asynchronous client: the one that is written; the synchronous one is generated from it."""

from e2e.aio.client import AsyncClient
from e2e.aio.environment import AsyncEnvironment
from e2e.aio.job import AsyncJob
from e2e.aio.queries import AsyncQueries
from e2e.aio.traces import AsyncTraces
from e2e.aio.workload import AsyncWorkload

__all__ = ["AsyncClient", "AsyncEnvironment", "AsyncJob", "AsyncQueries", "AsyncTraces", "AsyncWorkload"]
