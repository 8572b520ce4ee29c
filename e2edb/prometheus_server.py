"""Prometheus."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack, overload

from e2e import AnyEnvironment, AsyncWorkload, ContainerOptions, File, HttpProbe, Linked, Volume, Workload
from e2e.prometheus import program
from e2edb._sync.systems import Prometheus
from e2edb.aio.systems import AsyncPrometheus
from e2edb.configuration import (
    CONFIG_FILE,
    NO_RULES,
    RULES_FILE,
    connections,
    scraping_itself,
    with_defaults,
    with_rules,
    with_tracing,
)
from e2edb.parts import RELOADED, Config, Flags, Target, as_yaml, command_line, with_files, with_volume
from e2edb.tracing import Tracing, sent_soon
from e2edb.verbs import with_verbs

PROMETHEUS_IMAGE = program.IMAGE
DATA = program.DATA
"""Where a Prometheus has its blocks."""
_FLAGS: Flags = {
    **program.FLAGS,
    # Blocks of one size are never compacted, which a sidecar asks for.
    "--storage.tsdb.min-block-duration": "2h",
    "--storage.tsdb.max-block-duration": "2h",
}


class PrometheusOptions(ContainerOptions, total=False):
    """What a Prometheus may be given; see `prometheus`."""

    config: Config | None
    external_labels: Mapping[str, str] | None
    rules: Config
    remote_write: Sequence[Linked | Config]
    alertmanagers: Sequence[Target]
    tracing: Tracing | None
    image: str
    flags: Flags | None


@overload
def prometheus(
    env: AnyEnvironment[Workload], name: str, /, **options: Unpack[PrometheusOptions]
) -> Prometheus: ...


@overload
def prometheus(
    env: AnyEnvironment[AsyncWorkload], name: str, /, **options: Unpack[PrometheusOptions]
) -> AsyncPrometheus: ...


def prometheus(
    env: AnyEnvironment[Any],
    name: str,
    /,
    *,
    config: Config | None = None,
    external_labels: Mapping[str, str] | None = None,
    rules: Config = NO_RULES,
    remote_write: Sequence[Linked | Config] = (),
    alertmanagers: Sequence[Target] = (),
    tracing: Tracing | None = None,
    image: str = PROMETHEUS_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> Any:
    """A Prometheus with port `http`, and `set_config`; needs flags that 2.42 and later know.

    Its blocks are in the environment's volume of its own name.

    Args:
        env: where it runs.
        name: its name.
        config: `prometheus.yml` as text or as a mapping; None makes it scrape itself every second, as job
            `myself`. What else is given here is added to it, unless it has the same top-level key itself.
        external_labels: of the default configuration; None is `{"prometheus": name}`. A Thanos sidecar needs
            at least one, different for each Prometheus.
        rules: its rule file, as text or as a mapping with `groups`.
        remote_write: where it sends all samples: workloads with port `remote-write`, such as Thanos receive,
            URLs, or whole entries of `remote_write`.
        alertmanagers: who is told of alerts: workloads with port `http`, or `name:port` of each.
        tracing: where it sends a trace of each request, as service `prometheus`.
        image: the image.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    if config is None:
        labels = {"prometheus": name} if external_labels is None else external_labels
        config = scraping_itself(f"{name}:{program.PORT}", labels)
    config = with_defaults(with_rules(config, rules), connections(remote_write, alertmanagers))
    if tracing is not None:
        config = with_tracing(config, tracing)
        options = sent_soon(options, {"OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={name}"})
    options = with_files(with_volume(options, data_volume(name)), *_files(config, rules))
    workload = env.workload(
        name,
        image=image,
        command=command_line(_FLAGS, flags),
        ports={"http": program.PORT},
        readiness=HttpProbe(port="http", path=program.READY),
        metrics="http",
        profiles="http",
        **options,
    )
    return with_verbs(workload, Prometheus, AsyncPrometheus)


def _files(config: Config, rules: Config) -> Sequence[File]:
    """What `set_config` writes anew; of rules also none, as what is not there from the start stays away."""
    contents = {CONFIG_FILE: as_yaml(config), RULES_FILE: as_yaml(rules)}
    return [File(path=path, content=text, on_change=RELOADED) for path, text in contents.items()]


def data_volume(name: str) -> Volume:
    """The volume with the blocks of the Prometheus of that name, where it has it."""
    return Volume(source=name, target=DATA)
