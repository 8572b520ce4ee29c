"""Where this process runs, for the controller to tell it addresses that it can reach."""

import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

from e2e_api.callers import (
    CALLER_HEADER,
    CGROUPS_FILE,
    IN_CONTAINER_FILES,
    MARGIN_HEADER,
    MOUNTS_FILE,
    CallerPlace,
    container_ids,
)
from e2e_api.errors import DEADLINE_MARGIN


def caller_metadata() -> tuple[tuple[str, str], ...]:
    """The metadata of each call that tells it; and how long before its deadline a wait is to end."""
    return ((CALLER_HEADER, str(own_place())), (MARGIN_HEADER, f"{DEADLINE_MARGIN:g}"))


@cache
def own_place() -> CallerPlace:
    """Whether this process runs in a container, and in which, as far as it can see."""
    return place_below(Path("/"))


def place_below(root: Path) -> CallerPlace:
    """The same from the files of a root."""
    ids = container_ids(_text(root, MOUNTS_FILE), _text(root, CGROUPS_FILE), platform.node())
    marked = any((root / path.lstrip("/")).exists() for path in IN_CONTAINER_FILES)
    in_container = marked or any(len(found) == 64 for found in ids)
    return CallerPlace(in_container, ids if in_container else ())


def _text(root: Path, path: str) -> str:
    with suppress(OSError):
        return (root / path.lstrip("/")).read_text(errors="replace")
    return ""
