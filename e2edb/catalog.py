"""What `e2e catalog` offers of the ready-made systems."""

from e2e import Blueprint
from e2e.catalog import System
from e2edb.alerting import alertmanager
from e2edb.dashboards import grafana
from e2edb.profiles import parca
from e2edb.prometheus_server import prometheus
from e2edb.storage import minio
from e2edb.thanos import thanos_querier, thanos_sidecar
from e2edb.tracing import jaeger
from e2edb.watching import monitoring


def _grafana(blueprint: Blueprint) -> None:
    source = monitoring(Blueprint())[0]  # on another one: it is not Grafana's own
    grafana(blueprint, "grafana", [source])


def _thanos(blueprint: Blueprint) -> None:
    sidecars = [
        thanos_sidecar(blueprint, f"sidecar-{number}", prometheus(blueprint, f"prometheus-{number}"))
        for number in (1, 2)
    ]
    thanos_querier(blueprint, "query-1", [sidecar.internal_endpoint("grpc") for sidecar in sidecars])


SYSTEMS = (
    System("alertmanager", "Alertmanager, alone.", lambda env: alertmanager(env, "alertmanager")),
    System("grafana", "Grafana, which shows what the Prometheus of `monitoring` has.", _grafana),
    System("jaeger", "Jaeger with everything in one, in memory.", lambda env: jaeger(env, "jaeger")),
    System("minio", "An S3 object store with the bucket `thanos`.", lambda env: minio(env, "minio")),
    System(
        "monitoring",
        "Prometheus that scrapes all workloads that have `metrics`, and cAdvisor.",
        lambda env: monitoring(env, environment=env.environment),
    ),
    System(
        "profiling",
        "Parca that profiles all workloads that have `profiles`.",
        lambda env: parca(env, "parca"),
    ),
    System("prometheus", "Prometheus that scrapes itself.", lambda env: prometheus(env, "prometheus-1")),
    System("thanos", "Two Prometheus with sidecars, and a querier over both.", _thanos),
)
