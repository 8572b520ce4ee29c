"""Parca."""

from typing import Unpack

from e2e import AnyEnvironment, AnyWorkload, ContainerOptions
from e2e import parca as program
from e2edb.parts import with_files

PARCA_IMAGE = program.IMAGE


def parca(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    scrape_interval: int = program.SECONDS,
    image: str = PARCA_IMAGE,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """A Parca with port `http` that takes profiles of all workloads that have `profiles`, new ones too.

    `e2e.profiling.start` starts the same, and says what to do where its image cannot be had.

    Args:
        env: where it runs.
        name: its name.
        scrape_interval: whole seconds; each CPU profile is as long.
        image: the image.
        options: what any container may be given.
    """
    own = program.options(image, scrape_interval)
    return env.workload(
        name,
        image=image,
        command=own["command"],
        ports=own["ports"],
        readiness=own["readiness"],
        metrics=own["metrics"],
        **with_files(options, *program.files(scrape_interval)),
    )
