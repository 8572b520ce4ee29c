"""Thanos: sidecar, querier and query frontend."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions, Linked
from e2edb.parts import Config, Flags, Target, addresses_of, as_yaml, with_user, with_volume
from e2edb.prometheus_server import DATA, data_volume
from e2edb.thanos_component import THANOS_IMAGE, Component, component
from e2edb.tracing import Tracing

_PROMETHEUS_USER = "65534"
"""Whose blocks they are, in Prometheus' image."""


def thanos_sidecar(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    prometheus: Linked,
    /,
    *,
    objstore_config: Config | None = None,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A sidecar that serves a Prometheus' data to queriers, and uploads its blocks where it is told to.

    Args:
        env: where it runs.
        name: its name.
        prometheus: a workload with port `http`; needs external labels, which `e2edb.prometheus` has.
        objstore_config: where blocks are uploaded to, at the start and every 30 s: Thanos' own, as text or as
            a mapping, such as `e2edb.objstore_config(minio, bucket)`. The Prometheus is one of
            `e2edb.prometheus` then, whose volume and user the sidecar shares.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--prometheus.url": f"http://{prometheus.internal_endpoint('http')}",
        "--tsdb.path": "/tmp/tsdb",  # noqa: S108 - in the container; only read to upload  # nosec B108
        # Also what it waits before it asks again a Prometheus that was not up yet: 30 s by default.
        "--prometheus.get_config_interval": "500ms",
    }
    if objstore_config is not None:
        own_flags |= {"--tsdb.path": DATA, "--objstore.config": as_yaml(objstore_config)}
        options = with_user(with_volume(options, data_volume(prometheus.name)), _PROMETHEUS_USER)
    return component(env, name, Component("sidecar", own_flags), tracing, image, flags, options)


def thanos_querier(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    endpoints: Sequence[Target] = (),
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
        endpoints: its stores: workloads with port `grpc`, or `name:port` of each.
        replica_labels: external labels in which replicas of the same data differ.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--endpoint": addresses_of(endpoints, "grpc"),
        "--query.replica-label": list(replica_labels),
        # A hidden flag: how often it looks at its endpoints, and how long it waits for one; 5 s by default.
        "--endpoint.info-timeout": "1s",
    }
    return component(env, name, Component("query", own_flags), tracing, image, flags, options)


def thanos_query_frontend(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    querier: Target,
    /,
    *,
    cache: Config | None = None,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A query frontend, which splits range queries and remembers their results; port `http` only.

    `thanos_query_frontend_queries_total` counts what it was asked, `cortex_cache_hits` what it knew.

    Args:
        env: where it runs.
        name: its name.
        querier: a workload with port `http`, or `name:port`: a querier, or another program with Prometheus'
            query API.
        cache: of range queries, Thanos' own as text or as a mapping; None is 64 MB in memory.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    memory: Mapping[str, object] = {"type": "IN-MEMORY", "config": {"max_size": "64MB"}}
    own_flags = {
        "--query-frontend.downstream-url": f"http://{addresses_of([querier], 'http')[0]}",
        "--query-range.response-cache-config": as_yaml(memory if cache is None else cache),
    }
    frontend = Component("query-frontend", own_flags, has_grpc=False)
    return component(env, name, frontend, tracing, image, flags, options)
