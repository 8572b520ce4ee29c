"""What all of Thanos' components have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, HttpProbe
from e2edb.parts import Flags, as_yaml, command_line
from e2edb.tracing import Tracing, otlp_address, sent_soon

THANOS_IMAGE = "quay.io/thanos/thanos:v0.38.0"
_HTTP, _GRPC = 10902, 10901


@dataclass(frozen=True)
class Component:
    """One of Thanos' commands; all serve port `http`, and most `grpc`."""

    command: str
    flags: Flags
    has_grpc: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)
    """More ports, by name."""


def component(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    kind: Component,
    tracing: Tracing | None,
    image: str,
    flags: Flags | None,
    options: ContainerOptions,
) -> AnyWorkload:
    """The workload of a component, with what a test wants of each."""
    # A test does not wait two minutes for a client that never hangs up.
    common = {"--http-address": f"0.0.0.0:{_HTTP}", "--http-grace-period": "1s", "--log.level": "info"}
    ports = {"http": _HTTP}
    if kind.has_grpc:
        common |= {"--grpc-address": f"0.0.0.0:{_GRPC}", "--grpc-grace-period": "1s"}
        ports["grpc"] = _GRPC
    if tracing is not None:
        common["--tracing.config"] = tracing_config(name, tracing)
        options = sent_soon(options)
    return env.workload(
        name,
        image=image,
        command=[kind.command, *command_line({**common, **kind.flags}, flags)],
        ports={**ports, **kind.ports},
        readiness=HttpProbe(port="http", path="/-/ready"),
        metrics="http",
        profiles="http",
        **options,
    )


def tracing_config(service: str, tracing: Tracing) -> str:
    """Thanos' own configuration: traces of all requests go there, as that service."""
    config = {
        "client_type": "grpc",
        "service_name": service,
        "endpoint": otlp_address(tracing),
        "insecure": True,
        "sampler_type": "alwayssample",
    }
    return as_yaml({"type": "OTLP", "config": config})


def endpoint_of(name: str) -> str:
    """`name:port` of the gRPC API of a component that is not defined yet."""
    return f"{name}:{_GRPC}"
