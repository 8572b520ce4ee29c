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
    """Whether this seems to be a container, of whichever engine; a machine may be made of one's files."""

    @property
    def is_certain(self) -> bool:
        """Whether an engine has set this up as a container for certain."""
        return any(len(id_) == 64 for id_ in self.ids)


def own_hints(root: Path = Path("/")) -> OwnHints:
    """Looks at the files of this process; `root` is for tests."""
    mounts = _text(root, MOUNTS_FILE)
    ids = container_ids(mounts, _text(root, CGROUPS_FILE), platform.node())
    marked = any((root / path.lstrip("/")).exists() for path in IN_CONTAINER_FILES)
    layer = _upper_layer(mounts)
    return OwnHints(ids, layer, marked or any(len(id_) == 64 for id_ in ids))


def mount_of(path: Path, root: Path = Path("/")) -> str:
    """What a folder is mounted from, as no other folder of the machine is; `root` is for tests."""
    found = ("", "")
    for line in _text(root, MOUNTS_FILE).splitlines():
        fields = line.split()
        covers = len(fields) > 4 and path.is_relative_to(fields[4]) and len(fields[4]) >= len(found[0])
        if covers:
            inner = path.relative_to(fields[4])
            found = fields[4], f"{fields[2]}:{fields[3]}:{inner}:{_layer(line)}"
    return found[1]


def _text(root: Path, path: str) -> str:
    with suppress(OSError):
        return (root / path.lstrip("/")).read_text(errors="replace")
    return ""


def _upper_layer(mounts: str) -> str:
    roots = (line for line in mounts.splitlines() if line.split()[4:5] == ["/"])
    return next(map(_layer, roots), "")


def _layer(mount: str) -> str:
    """The folder that an overlay writes to; "" of any other mount."""
    options = mount.split()[-1].split(",")
    return next((option.partition("=")[2] for option in options if option.startswith("upperdir=")), "")
