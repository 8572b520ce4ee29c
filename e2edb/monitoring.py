"""Prometheus."""

from collections.abc import Mapping
from typing import Any, Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, HttpProbe
from e2edb.parts import Flags, as_mapping, as_yaml, command_line, with_file
from e2edb.tracing import Tracing, otlp_address, sent_soon

PROMETHEUS_IMAGE = "quay.io/prometheus/prometheus:v3.5.0"
_PORT = 9090
_CONFIG = "/etc/prometheus/prometheus.yml"


def prometheus(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    config: str | Mapping[str, Any] | None = None,
    external_labels: Mapping[str, str] | None = None,
    tracing: Tracing | None = None,
    image: str = PROMETHEUS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A Prometheus with port `http`; needs flags that 2.42 and later know.

    Args:
        env: where it runs.
        name: its name.
        config: `prometheus.yml` as text or as a mapping; None makes it scrape itself every second, as job
            `myself`.
        external_labels: of the default configuration; None is `{"prometheus": name}`. A Thanos sidecar needs
            at least one, different for each Prometheus.
        tracing: where it sends a trace of each request, as service `prometheus`; a configuration that has
            its own `tracing` keeps that.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--config.file": _CONFIG,
        "--storage.tsdb.path": "/prometheus",
        # Blocks of one size are never compacted, which a sidecar asks for.
        "--storage.tsdb.min-block-duration": "2h",
        "--storage.tsdb.max-block-duration": "2h",
        "--web.listen-address": f":{_PORT}",
        "--web.enable-lifecycle": "",
        "--log.level": "info",
    }
    if config is None:
        labels = {"prometheus": name} if external_labels is None else dict(external_labels)
        config = _scraping_itself(f"{name}:{_PORT}", labels)
    if tracing is not None:
        config = with_tracing(config, tracing)
        options = sent_soon(options, {"OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={name}"})
    return env.workload(
        name,
        image=image,
        command=command_line(own_flags, flags),
        ports={"http": _PORT},
        readiness=HttpProbe(port="http", path="/-/ready"),
        metrics="http",
        **with_file(options, _CONFIG, as_yaml(config)),
    )


def with_tracing(config: str | Mapping[str, Any], tracing: Tracing) -> Mapping[str, Any]:
    """A `prometheus.yml` that has traces of all requests sent there, unless it says itself where to."""
    block = {"endpoint": otlp_address(tracing), "client_type": "grpc", "insecure": True}
    return {"tracing": {**block, "sampling_fraction": 1.0}, **as_mapping(config)}


def _scraping_itself(address: str, external_labels: Mapping[str, str]) -> Mapping[str, Any]:
    job = {
        "job_name": "myself",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [address]}],
    }
    return {"global": {"external_labels": dict(external_labels)}, "scrape_configs": [job]}
