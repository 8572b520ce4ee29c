"""Mounts below what another container may write to, which could put a link there while they are mounted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from e2e_api.manifests.texts import is_below
from e2e_controller.policy.rules import Denial


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mount of somebody's leads."""

    whose: str
    field: str
    path: str
    read_only: bool


def overlaps(own: Iterable[Place], others: Iterable[Place]) -> Iterator[Denial]:
    """What is denied of one's own mounts beside those of others, which were there first. Pure."""
    others = tuple(others)
    for mine in own:
        for theirs in others:
            if mine.path == theirs.path:
                continue  # what is mounted cannot be swapped from within
            if is_below(mine.path, theirs.path) and not theirs.read_only:
                message = f"{theirs.whose} may write to {theirs.path}, and so swap {mine.path} for a link"
                remedy = f"mount {theirs.path} in both, or make it readOnly there"
                yield Denial("hostPaths", mine.field, f"{message}; {remedy}", may_pass=True)
            elif is_below(theirs.path, mine.path) and not mine.read_only:
                message = f"it could swap {theirs.path} for a link, which {theirs.whose} mounts"
                remedy = "make it readOnly, or mount the same"
                yield Denial("hostPaths", mine.field, f"{message}; {remedy}", may_pass=True)
