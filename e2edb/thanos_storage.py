"""Thanos on an object store: store gateway and compactor."""

from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions
from e2edb.parts import Config, Flags, as_yaml
from e2edb.thanos_component import THANOS_IMAGE, Component, component
from e2edb.tracing import Tracing


def thanos_store(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    objstore_config: Config,
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
        objstore_config: Thanos' own, as text or as a mapping with `type` and `config`, such as
            `e2edb.objstore_config(minio, bucket)`.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--objstore.config": as_yaml(objstore_config),
        "--data-dir": "/tmp/store",  # noqa: S108 - in the container  # nosec B108
        "--sync-block-duration": "3s",
        "--consistency-delay": "0s",
    }
    return component(env, name, Component("store", own_flags), tracing, image, flags, options)


def thanos_compact(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    objstore_config: Config,
    /,
    *,
    tracing: Tracing | None = None,
    image: str = THANOS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A compactor of the blocks in an object store, at work every three seconds; port `http` only.

    `thanos_compact_iterations_total` counts its rounds, `thanos_compact_group_compactions_total` the blocks
    that it made. What it has merged it deletes at once.

    Args:
        env: where it runs.
        name: its name.
        objstore_config: as of `thanos_store`.
        tracing: where it sends its traces, as service `name`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    own_flags = {
        "--objstore.config": as_yaml(objstore_config),
        "--data-dir": "/tmp/compact",  # noqa: S108 - in the container  # nosec B108
        "--wait": "",
        "--wait-interval": "3s",
        "--consistency-delay": "0s",
        "--delete-delay": "0s",
    }
    compactor = Component("compact", own_flags, has_grpc=False)
    return component(env, name, compactor, tracing, image, flags, options)
