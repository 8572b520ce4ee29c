"""Readiness of workloads: ask each as its manifest says, and tell when the answer changes.

`prober` keeps the workloads and their reports, `schedule` says when to ask, one module a kind of probe asks.
"""

from e2e_controller.probes.checks import Target, address_of
from e2e_controller.probes.prober import Prober
from e2e_controller.probes.watched import ProbeReport

__all__ = ["ProbeReport", "Prober", "Target", "address_of"]
