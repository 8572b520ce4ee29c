"""What the systems are put together from."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from e2e import ContainerOptions, File, InvalidArgument

FlagValue = str | Sequence[str] | None
"""A flag's value: empty for a flag without one, several for one that is repeated, None for no such flag."""

Flags = Mapping[str, FlagValue]
"""Flags by their whole name, such as `{"--log.level": "debug"}`."""


def command_line(defaults: Flags, changes: Flags | None) -> list[str]:
    """The flags as words: `--name=value`, in the order of the defaults, then of the changes."""
    words: list[str] = []
    for name, value in {**defaults, **(changes or {})}.items():
        if value is None:
            continue
        values = [value] if isinstance(value, str) else value
        words += [f"{name}={text}" if text else name for text in values]
    return words


def as_yaml(config: str | Mapping[str, Any]) -> str:
    """The configuration as text; text stays as it is."""
    return config if isinstance(config, str) else yaml.safe_dump(dict(config), sort_keys=False)


def as_mapping(config: str | Mapping[str, Any]) -> Mapping[str, Any]:
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


def with_file(options: ContainerOptions, path: str, content: str) -> ContainerOptions:
    """The options with one more file, unless they have their own at that path."""
    given = options.get("files", ())
    files = (
        [File(path=name, content=text) for name, text in given.items()]
        if isinstance(given, Mapping)
        else list(given)
    )
    if all(file.path != path for file in files):
        files.append(File(path=path, content=content))
    return {**options, "files": files}
