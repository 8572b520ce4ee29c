"""Systems with verbs of their own, synchronous: generated from `e2edb._sync`."""

from e2edb._sync.systems import Prometheus, StaticMetrics

__all__ = ["Prometheus", "StaticMetrics"]
