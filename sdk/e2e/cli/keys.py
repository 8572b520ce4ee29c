"""Names of objects as the command line writes them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

from e2e import Client, NotFound
from e2e.messages import CONTAINER_KINDS
from e2e_api.v1 import object_pb2

KINDS = {
    "workload": "Workload",
    "job": "Job",
    "environment": "Environment",
    "env": "Environment",
    "file": "File",
}


class Key(NamedTuple):
    """Names one object."""

    environment: str
    kind: str
    name: str

    @classmethod
    def of(cls, message: object_pb2.ObjectKey) -> "Key":
        """The key of a message."""
        return cls(message.environment, message.kind, message.name)

    def message(self) -> object_pb2.ObjectKey:
        """The key for a request."""
        return object_pb2.ObjectKey(environment=self.environment, kind=self.kind, name=self.name)

    def __str__(self) -> str:
        return "/".join(self)


def parse_kind(text: str) -> str:
    """`workload`, `Workloads` or `env` as the kind's own name. Raises click.UsageError."""
    found = KINDS.get(text.lower()) or KINDS.get(text.lower().removesuffix("s"))
    if found is None:
        raise click.UsageError(f"{text!r} is no kind: expected Workload, Job, Environment or File")
    return found


def parse_name(text: str, environment: str | None) -> Key:
    """`NAME`, `KIND/NAME` or `ENVIRONMENT/KIND/NAME`, which `e2e get -o name` writes.

    The key's environment and kind are empty where none is given. Raises click.UsageError.
    """
    parts = text.split("/", 2)
    if not all(parts):
        raise click.UsageError(f"{text!r} is no name of an object: expected NAME or KIND/NAME")
    if len(parts) == 3 and parts[0].lower() not in KINDS:
        if environment not in (None, parts[0]):
            raise click.UsageError(f"{text} is not in environment {environment}")
        return Key(parts[0], parse_kind(parts[1]), parts[2])
    kind, name = ("", parts[0]) if len(parts) == 1 else (parse_kind(parts[0]), text.split("/", 1)[1])
    if kind == "Environment":
        environment = name
    return Key(environment or "", kind, name)


def find_keys(client: Client, names: Sequence[str], environment: str | None) -> list[Key]:
    """The keys of these names: where none is given, the only environment, and the kind, that has the name.

    Raises NotFound for a name that no object has, click.UsageError for one that several have.
    """
    keys = [parse_name(name, environment) for name in names]
    if all(key.environment and key.kind for key in keys):
        return keys
    there = [Key.of(found.key) for found in client.list_objects(environment or "")]
    return [key if key.environment and key.kind else _only(key, there) for key in keys]


def _only(key: Key, there: Iterable[Key]) -> Key:
    kinds = (key.kind,) if key.kind else CONTAINER_KINDS
    found = [
        other
        for other in there
        if other.name == key.name and other.kind in kinds and key.environment in ("", other.environment)
    ]
    if not found and key.environment:
        return key._replace(kind=kinds[0])  # the controller says that it is not there
    if not found:
        kind = key.kind or " or ".join(CONTAINER_KINDS)
        raise NotFound(f"no environment has a {kind} {key.name}; `e2e get` lists what there is")
    if len(found) > 1:
        environments = ", ".join(other.environment for other in found)
        raise click.UsageError(f"{key.name} is in several environments ({environments}): give --env")
    return found[0]
