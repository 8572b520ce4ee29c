"""Hints on the container that this process runs in, if it does; the engine tells which are true."""

import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from e2e_api.callers import CGROUPS_FILE, IN_CONTAINER_FILES, MOUNTS_FILE, container_ids


@dataclass(frozen=True, slots=True)
class OwnHints:
    """What this process sees of its container."""

    ids: tuple[str, ...] = ()
    """Ids that it may have, the likeliest first."""
    upper_layer: str = ""
    """The folder on the engine's host that the container writes to; "" where that cannot be seen."""
    in_container: bool = False
    """Whether this is a container, of whichever engine."""


def own_hints(root: Path = Path("/")) -> OwnHints:
    """Looks at the files of this process; `root` is for tests."""
    mounts = _text(root, MOUNTS_FILE)
    ids = container_ids(mounts, _text(root, CGROUPS_FILE), platform.node())
    marked = any((root / path.lstrip("/")).exists() for path in IN_CONTAINER_FILES)
    layer = _upper_layer(mounts)
    return OwnHints(ids, layer, marked or any(len(id_) == 64 for id_ in ids))


def _text(root: Path, path: str) -> str:
    with suppress(OSError):
        return (root / path.lstrip("/")).read_text(errors="replace")
    return ""


def _upper_layer(mounts: str) -> str:
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[4:5] == ["/"]:
            options = after.split()[-1].split(",") if after else []
            layers = [option.partition("=")[2] for option in options if option.startswith("upperdir=")]
            return layers[0] if layers else ""
    return ""
