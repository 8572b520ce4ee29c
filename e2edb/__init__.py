"""Ready-made systems: functions that define workloads, in either kind of environment.

    with e2e.Environment() as env:
        prometheus = e2edb.prometheus(env, "prometheus-1")
        sidecar = e2edb.thanos_sidecar(env, "sidecar-1", prometheus)
        env.start_and_wait_ready(prometheus, sidecar)

Each takes the image, `flags` to change the program's own (None removes one), and what any container may be
given (`e2e.ContainerOptions`: resources, env, labels, ...).
"""

from e2edb.monitoring import PROMETHEUS_IMAGE, prometheus
from e2edb.thanos import THANOS_IMAGE, thanos_querier, thanos_sidecar, thanos_store
from e2edb.tracing import JAEGER_IMAGE, jaeger

__all__ = [
    "JAEGER_IMAGE",
    "PROMETHEUS_IMAGE",
    "THANOS_IMAGE",
    "jaeger",
    "prometheus",
    "thanos_querier",
    "thanos_sidecar",
    "thanos_store",
]
