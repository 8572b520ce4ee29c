"""Images' names, as the engine understands them."""

import re
from dataclasses import dataclass
from typing import Self

_HUB = "docker.io"
_HUB_NAMES = (_HUB, "index.docker.io", "registry-1.docker.io")
_ID = re.compile(r"[0-9a-f]+|sha(256|384|512):[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """One name, spelled out: `busybox` is `docker.io/library/busybox` with the tag `latest`."""

    repository: str
    tag: str | None
    """None where only a digest is given."""
    digest: str | None
    may_be_id: bool
    """Whether the engine may take it for the id of an image that it has."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Of a name that is valid."""
        rest, _, digest = text.partition("@")
        head, slash, last = rest.rpartition("/")
        name, colon, tag = last.partition(":")
        repository = _spelled_out(f"{head}{slash}{name}")
        given = tag if colon else None if digest else "latest"
        return cls(repository, given, digest or None, _ID.fullmatch(text) is not None)

    def is_in(self, place: str) -> bool:
        """Whether the place is its registry, or what its name begins with, to a slash."""
        head, slash, rest = place.partition("/")
        if _is_registry(head):
            whole = f"{_HUB if head in _HUB_NAMES else head}{slash}{rest}"
        else:
            whole = _spelled_out(place)
        return self.repository == whole or self.repository.startswith(f"{whole}/")


def _spelled_out(name: str) -> str:
    head, slash, rest = name.partition("/")
    if not slash or not _is_registry(head):
        head, rest = _HUB, name
    elif head in _HUB_NAMES:
        head = _HUB
    if head == _HUB and "/" not in rest:
        rest = f"library/{rest}"
    return f"{head}/{rest}"


def _is_registry(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost" or part != part.lower()
