"""What the systems are put together from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from e2e import ContainerOptions, File, InvalidArgument, Linked, Volume

FlagValue = str | Sequence[str] | None
"""A flag's value: empty for a flag without one, several for one that is repeated, None for no such flag."""

Flags = Mapping[str, FlagValue]
"""Flags by their whole name, such as `{"--log.level": "debug"}`."""

Config = str | Mapping[str, Any]
"""A configuration as text, or as the data that the text stands for."""

Target = Linked | str
"""A workload, or the `name:port` of whatever serves the same."""

METRICS_FILE = "/www/metrics/index.txt"
"""Of `static_metrics`."""

RELOADED = "Signal(SIGHUP)"
"""Of a file that its program reads again when it is sent the signal."""


def command_line(defaults: Flags, changes: Flags | None) -> list[str]:
    """The flags as words: `--name=value`, in the order of the defaults, then of the changes."""
    words: list[str] = []
    for name, value in {**defaults, **(changes or {})}.items():
        if value is None:
            continue
        values = [value] if isinstance(value, str) else value
        words += [f"{name}={text}" if text else name for text in values]
    return words


def addresses_of(targets: Sequence[Target], port: str) -> list[str]:
    """`name:port` of each, where workloads have a port of that name."""
    return [target if isinstance(target, str) else target.internal_endpoint(port) for target in targets]


def as_yaml(config: Config) -> str:
    """The configuration as text; text stays as it is."""
    return config if isinstance(config, str) else yaml.safe_dump(dict(config), sort_keys=False)


def as_mapping(config: Config) -> Mapping[str, Any]:
    """The configuration as a mapping. Raises InvalidArgument for a text that is none in YAML."""
    if not isinstance(config, str):
        return config
    try:
        found = yaml.safe_load(config)
    except yaml.YAMLError as error:
        raise InvalidArgument(f"the configuration is not YAML: {error}") from None
    if not isinstance(found, Mapping):
        raise InvalidArgument("the configuration is not a mapping")
    return found


def with_files(options: ContainerOptions, *own: File) -> ContainerOptions:
    """The options with these files too, unless they have their own at that path."""
    files = replaced_files(own, given_files(options))
    return {**options, "files": files}


def given_files(options: ContainerOptions) -> Sequence[File]:
    """The files of the options, as values."""
    given = options.get("files", ())
    if isinstance(given, Mapping):
        return [File(path=path, content=content) for path, content in given.items()]
    return given


def replaced_files(files: Iterable[File], changed: Iterable[File]) -> list[File]:
    """The files, where those that changed take the place of what is at the same path."""
    return list({file.path: file for file in (*files, *changed)}.values())


def with_volume(options: ContainerOptions, own: Volume) -> ContainerOptions:
    """The options with this volume too, unless they have their own at that path."""
    given = options.get("volumes", ())
    if any(volume.target == own.target for volume in given):
        return options
    return {**options, "volumes": [own, *given]}


def with_user(options: ContainerOptions, user: str) -> ContainerOptions:
    """The options with this user, unless they name one."""
    return options if "user" in options else {**options, "user": user}


def with_env(options: ContainerOptions, own: Mapping[str, str]) -> ContainerOptions:
    """The options with these variables too, unless they have their own of that name."""
    return {**options, "env": {**own, **options.get("env", {})}}


def as_page(metrics: str) -> str:
    """A page of metrics with the end of line that the format asks for."""
    return metrics if metrics.endswith("\n") or not metrics else f"{metrics}\n"
