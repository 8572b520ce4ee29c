"""Ready-made systems: functions that define workloads, in either kind of environment.

    with e2e.Environment() as env:
        prometheus = e2edb.prometheus(env, "prometheus-1")
        sidecar = e2edb.thanos_sidecar(env, "sidecar-1", prometheus)
        env.start_and_wait_ready(prometheus, sidecar)

Each takes the image, `flags` to change the program's own (None removes one), and what any container may be
given (`e2e.ContainerOptions`: resources, env, labels, ...).
"""

from e2edb._sync.systems import Prometheus, StaticMetrics
from e2edb.aio.systems import AsyncPrometheus, AsyncStaticMetrics
from e2edb.alerting import ALERTMANAGER_IMAGE, alertmanager
from e2edb.configuration import remote_write_url
from e2edb.dashboards import GRAFANA_IMAGE, grafana
from e2edb.profiles import PARCA_IMAGE, parca
from e2edb.prometheus_server import PROMETHEUS_IMAGE, prometheus
from e2edb.static import BUSYBOX_IMAGE, static_metrics
from e2edb.storage import MINIO_IMAGE, Certificate, minio, objstore_config
from e2edb.thanos import thanos_querier, thanos_query_frontend, thanos_sidecar
from e2edb.thanos_component import THANOS_IMAGE
from e2edb.thanos_ingest import thanos_receive, thanos_rule
from e2edb.thanos_storage import thanos_compact, thanos_store
from e2edb.tracing import JAEGER_IMAGE, jaeger
from e2edb.usage import CADVISOR_IMAGE, cadvisor
from e2edb.watching import monitoring

__all__ = [
    "ALERTMANAGER_IMAGE",
    "BUSYBOX_IMAGE",
    "CADVISOR_IMAGE",
    "GRAFANA_IMAGE",
    "JAEGER_IMAGE",
    "MINIO_IMAGE",
    "PARCA_IMAGE",
    "PROMETHEUS_IMAGE",
    "THANOS_IMAGE",
    "AsyncPrometheus",
    "AsyncStaticMetrics",
    "Certificate",
    "Prometheus",
    "StaticMetrics",
    "alertmanager",
    "cadvisor",
    "grafana",
    "jaeger",
    "minio",
    "monitoring",
    "objstore_config",
    "parca",
    "prometheus",
    "remote_write_url",
    "static_metrics",
    "thanos_compact",
    "thanos_querier",
    "thanos_query_frontend",
    "thanos_receive",
    "thanos_rule",
    "thanos_sidecar",
    "thanos_store",
]
