"""Jaeger, and how the other systems send it their traces."""

from collections.abc import Mapping
from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, HttpProbe, Linked
from e2edb.parts import Flags, addresses_of, command_line

JAEGER_IMAGE = "docker.io/jaegertracing/all-in-one:1.62.0"
_PORTS = {"http": 16686, "otlp-grpc": 4317, "otlp-http": 4318, "collector": 14268, "admin": 14269}
_BATCH_MILLISECONDS = "200"

Tracing = Linked | str
"""Where traces go: a workload with port `otlp-grpc`, or `host:port` of any collector of OTLP over gRPC."""


def jaeger(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    most_traces: int = 50_000,
    image: str = JAEGER_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """Jaeger with everything in one, which keeps traces in memory; `e2e.Traces` asks it and waits for them.

    Its ports: `http` for the pages and the query API, `otlp-grpc`, `otlp-http` and `collector` (Jaeger's own
    Thrift) take spans, `admin` has health and metrics.

    Args:
        env: where it runs.
        name: its name.
        most_traces: how many it keeps.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--sampling.strategies-file": "/etc/jaeger/sampling_strategies.json",
        "--memory.max-traces": str(most_traces),
        "--log-level": "info",
    }
    return env.workload(
        name,
        image=image,
        command=command_line(own_flags, flags),
        ports=_PORTS,
        readiness=HttpProbe(port="admin", path="/"),
        metrics="admin",
        profiles="admin",
        **options,
    )


def otlp_address(tracing: Tracing) -> str:
    """`host:port` that takes OTLP over gRPC."""
    return addresses_of([tracing], "otlp-grpc")[0]


def sent_soon(options: ContainerOptions, variables: Mapping[str, str] | None = None) -> ContainerOptions:
    """The options with what makes an OpenTelemetry SDK send its spans soon, rather than each 5 s."""
    own = {"OTEL_BSP_SCHEDULE_DELAY": _BATCH_MILLISECONDS, **(variables or {})}
    return {**options, "env": {**own, **options.get("env", {})}}
