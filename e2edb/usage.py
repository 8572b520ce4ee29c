"""cAdvisor."""

from collections.abc import Sequence
from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions
from e2e import cadvisor as usage
from e2edb.parts import Flags, command_line, with_volume

CADVISOR_IMAGE = usage.IMAGE


def cadvisor(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    processes: Sequence[str] = usage.PROCESSES,
    engine_data: str = usage.ENGINE_DATA,
    engine_socket: str = usage.ENGINE_SOCKET,
    image: str = CADVISOR_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A cAdvisor with port `http`: what each container of the machine uses, and what processes do.

    It is not privileged. `e2e doctor` says what it cannot see on a machine. Prometheus' job for it is
    `e2e.cadvisor.job`.

    Args:
        env: where it runs.
        name: its name.
        processes: cgroups of which those below are watched beside containers.
        engine_data: the engine's own folder, as `docker info` shows it ("Docker Root Dir").
        engine_socket: the engine's socket, of which it learns what containers are called.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    for volume in reversed(usage.volumes(engine_data, engine_socket)):
        options = with_volume(options, volume)
    own = usage.options(processes)
    options["labels"] = {**options.get("labels", {}), **own["labels"]}
    return env.workload(
        name,
        image=image,
        command=command_line(usage.flags(processes), flags),
        ports=own["ports"],
        readiness=own["readiness"],
        metrics=own["metrics"],
        **options,
    )
