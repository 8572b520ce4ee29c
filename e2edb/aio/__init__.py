"""Systems with verbs of their own, for asyncio; `e2edb._sync` is generated from it."""

from e2edb.aio.systems import AsyncPrometheus, AsyncStaticMetrics

__all__ = ["AsyncPrometheus", "AsyncStaticMetrics"]
