"""Which hierarchies of control groups there are, and where this process is in each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from e2e.cgroups.errors import CgroupError

COUNTED_V1 = frozenset({"blkio", "cpu", "cpuacct", "memory", "pids"})
COUNTED_V2 = frozenset({"cpu", "io", "memory", "pids"})
"""The controllers that tell what a container uses."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted tree of control groups."""

    version: int
    """1 or 2."""
    controllers: frozenset[str]
    """Those that count and are in this tree; of version 2, in its root."""
    mount: Path
    """The topmost cgroup that can be seen."""
    root: str
    """The path of that cgroup, as the kernel names it: `/` unless in a container."""
    home: Path
    """The cgroup that this process is in."""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class _Mount:
    version: int
    words: frozenset[str]
    """The controllers and options of the hierarchy."""
    root: str
    point: Path
    read_only: bool


def read_hierarchies(proc: Path = Path("/proc/self")) -> tuple[Hierarchy, ...]:
    """Those that count for what a process uses: of version 1 by controller, of version 2 the one.

    Raises CgroupError where there are none.
    """
    try:
        mounts = list(_mounts((proc / "mountinfo").read_text()))
        paths = dict(_paths((proc / "cgroup").read_text()))
    except FileNotFoundError as error:
        raise CgroupError(f"this machine has no control groups, which are Linux': {error}") from error
    found = tuple(_version_1(mounts, paths))
    unified = _version_2(mounts, paths)
    # Beside version 1, the unified hierarchy has the controllers that no other has: most often none.
    if unified is not None and (unified.controllers or not found):
        found = (*found, unified)
    if not found:
        raise CgroupError(
            "no hierarchy of control groups is mounted in which this process is to be seen; a container that "
            "has its host's needs `--cgroupns=host`, too"
        )
    return found


def own_paths(proc: Path = Path("/proc/self")) -> frozenset[str]:
    """The paths of the cgroups that this process is in, as the kernel names them; none but on Linux."""
    try:
        return frozenset(dict(_paths((proc / "cgroup").read_text())).values()) - {"/"}
    except FileNotFoundError:
        return frozenset()


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, words) = before.split(" "), after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            yield _Mount(
                version=2 if kind == "cgroup2" else 1,
                words=frozenset(words.split(",")),
                root=_unescaped(fields[3]),
                point=Path(_unescaped(fields[4])),
                read_only="ro" in fields[5].split(","),
            )


def _paths(text: str) -> Iterator[tuple[str, str]]:
    """(controller, path of this process' cgroup); the controller is empty for version 2."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _version_1(mounts: list[_Mount], paths: dict[str, str]) -> Iterator[Hierarchy]:
    seen: set[str] = set()
    for controller in sorted(COUNTED_V1 & paths.keys()):
        if controller in seen:
            continue
        path = paths[controller]
        mount = _that_shows(path, [one for one in mounts if one.version == 1 and controller in one.words])
        if mount is not None:
            together = mount.words & COUNTED_V1
            seen |= together
            yield _hierarchy(mount, path, together)


def _version_2(mounts: list[_Mount], paths: dict[str, str]) -> Hierarchy | None:
    path = paths.get("")
    mount = _that_shows(path, [one for one in mounts if one.version == 2]) if path else None
    if path is None or mount is None:
        return None
    available = (mount.point / "cgroup.controllers").read_text().split()
    return _hierarchy(mount, path, COUNTED_V2.intersection(available))


def _that_shows(path: str, mounts: list[_Mount]) -> _Mount | None:
    """The mount in which that cgroup is seen; one that can be written to, where there is a choice."""
    showing = [mount for mount in mounts if PurePosixPath(path).is_relative_to(mount.root)]
    return min(showing, key=lambda mount: mount.read_only, default=None)


def _hierarchy(mount: _Mount, path: str, controllers: frozenset[str]) -> Hierarchy:
    home = mount.point / PurePosixPath(path).relative_to(mount.root)
    return Hierarchy(mount.version, controllers, mount.point, mount.root, home, mount.read_only)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
