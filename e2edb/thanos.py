"""Thanos: sidecar, querier and store gateway, each with ports `http` and `grpc`."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, HttpProbe, Linked
from e2edb.parts import Flags, as_yaml, command_line
from e2edb.tracing import Tracing, otlp_address, sent_soon

THANOS_IMAGE = "quay.io/thanos/thanos:v0.38.0"
_HTTP, _GRPC = 10902, 10901


def thanos_sidecar(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    prometheus: Linked,
    /,
    *,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A sidecar that serves a Prometheus' data to queriers; it does not upload blocks.

    Args:
        env: where it runs.
        name: its name.
        prometheus: a workload with port `http`; needs external labels, which `e2edb.prometheus` has.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--prometheus.url": f"http://{prometheus.internal_endpoint('http')}",
        "--tsdb.path": "/tmp/tsdb",  # noqa: S108 - in the container; only read to upload
        # Also what it waits before it asks again a Prometheus that was not up yet: 30 s by default.
        "--prometheus.get_config_interval": "500ms",
    }
    return _thanos(env, name, "sidecar", own_flags, tracing, image, flags, options)


def thanos_querier(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    endpoints: Sequence[str] = (),
    /,
    *,
    replica_labels: Sequence[str] = ("replica",),
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A querier over stores. `thanos_store_nodes_grpc_connections` is how many it is connected to.

    Args:
        env: where it runs.
        name: its name.
        endpoints: `name:port` of each store, as `sidecar.internal_endpoint("grpc")` gives it.
        replica_labels: external labels in which replicas of the same data differ.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--endpoint": list(endpoints),
        "--query.replica-label": list(replica_labels),
        # A hidden flag: how often it looks at its endpoints, and how long it waits for one; 5 s by default.
        "--endpoint.info-timeout": "1s",
    }
    return _thanos(env, name, "query", own_flags, tracing, image, flags, options)


def thanos_store(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    objstore_config: str | Mapping[str, Any],
    /,
    *,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A store gateway over the blocks in an object store; looks for new ones every three seconds.

    Args:
        env: where it runs.
        name: its name.
        objstore_config: Thanos' own, as text or as a mapping with `type` and `config`.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--objstore.config": as_yaml(objstore_config),
        "--data-dir": "/tmp/store",  # noqa: S108 - in the container
        "--sync-block-duration": "3s",
        "--consistency-delay": "0s",
    }
    return _thanos(env, name, "store", own_flags, tracing, image, flags, options)


def _thanos(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    component: str,
    own_flags: Flags,
    tracing: Tracing | None,
    image: str,
    flags: Flags | None,
    options: ContainerOptions,
) -> AnyWorkload:
    common = {
        "--http-address": f"0.0.0.0:{_HTTP}",
        "--grpc-address": f"0.0.0.0:{_GRPC}",
        # A test does not wait two minutes for a client that never hangs up.
        "--http-grace-period": "1s",
        "--grpc-grace-period": "1s",
        "--log.level": "info",
    }
    if tracing is not None:
        common["--tracing.config"] = tracing_config(name, tracing)
        options = sent_soon(options)
    return env.workload(
        name,
        image=image,
        command=[component, *command_line({**common, **own_flags}, flags)],
        ports={"http": _HTTP, "grpc": _GRPC},
        readiness=HttpProbe(port="http", path="/-/ready"),
        metrics="http",
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
