"""Which fields of a manifest differ from those of another one. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from e2e_controller.masking import Mask, masked_manifest, secrets_in

_NAMED_BY = ("path", "target", "name")
"""Fields by which the entries of a list are told apart."""


class Change(NamedTuple):
    """One field; None where it is not there."""

    path: str
    old: str | None
    new: str | None


def differences(old: Mapping[str, Any], new: Mapping[str, Any], secrets: Iterable[str] = ()) -> list[Change]:
    """The fields that differ between two manifests' documents, secrets masked, sorted by path.

    `secrets` are those that neither of them has.
    """
    mask = Mask({*secrets_in(old), *secrets_in(new), *secrets})
    before, after = dict(_fields(old)), dict(_fields(new))
    shown_before, shown_after = (dict(_fields(masked_manifest(one, mask))) for one in (old, new))
    changes = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        shown = shown_before.get(path), shown_after.get(path)
        if shown[0] == shown[1]:
            shown = shown[0], f"{shown[1]} (another one)"
        changes.append(Change(path, *shown))
    return changes


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each field that holds no others, by its path, as text."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _fields(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and (names := _names(value)):
        for name, item in zip(names, value, strict=True):
            yield from _fields(item, f"{path}[{name}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _names(items: list[Any]) -> list[str]:
    """What tells the entries of a list apart; empty where nothing does."""
    for field in _NAMED_BY:
        names = [str(item[field]) for item in items if isinstance(item, Mapping) and field in item]
        if len(names) == len(items) == len(set(names)):
            return names
    return []
