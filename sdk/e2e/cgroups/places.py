"""Where in a hierarchy this process' own cgroup can be, and what permission it takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from e2e.cgroups.files import Files
from e2e.cgroups.hierarchies import COUNTED_V2, Hierarchy

PARENT = "e2e"
_LOOKS = 5
"""A single one may be wrong where other processes come and go meanwhile."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cgroup to be, `<base>/e2e/<name>`, and what stands in its way."""

    hierarchy: Hierarchy
    base: Path
    name: str
    enable: frozenset[str] = frozenset()
    """Controllers of version 2 that `base` has and does not hand on yet."""
    missing: tuple[Path, ...] = ()
    """What would have to be writable, and is not."""
    occupied: bool = False
    """Whether processes in `base` keep it from handing controllers on."""

    @property
    def parent(self) -> Path:
        """The cgroup that holds those of all such processes."""
        return self.base / PARENT

    @property
    def group(self) -> Path:
        """The cgroup for this process."""
        return self.parent / self.name

    @property
    def path(self) -> str:
        """As the kernel names it."""
        return path_of(self.hierarchy, self.group)

    @property
    def usable(self) -> bool:
        """Whether nothing stands in its way."""
        return not self.missing and not self.occupied and not self.hierarchy.read_only


def path_of(hierarchy: Hierarchy, group: Path) -> str:
    """As the kernel names it."""
    return str(PurePosixPath(hierarchy.root) / group.relative_to(hierarchy.mount))


def bases(hierarchy: Hierarchy) -> Sequence[Path]:
    """The cgroups in which there can be those of processes, the uppermost first."""
    home = hierarchy.home.relative_to(hierarchy.mount).parts
    if PARENT in home:  # this process came out of one that is in a cgroup of its own
        home = home[: home.index(PARENT)]
    return [hierarchy.mount.joinpath(*home[:depth]) for depth in range(len(home) + 1)]


def choose(hierarchy: Hierarchy, name: str, files: Files) -> Place:
    """The uppermost place that can be used; where none can, the uppermost, with what stands in its way.

    Further down is a user's own part of the tree, such as that of systemd's user session.
    """
    below = bases(hierarchy)
    for _ in range(_LOOKS):
        places = [examine(hierarchy, base, name, files) for base in below]
        if usable := [place for place in places if place.usable]:
            return usable[0]
    return places[0]


def examine(hierarchy: Hierarchy, base: Path, name: str, files: Files) -> Place:
    """What it would take there."""
    place = Place(hierarchy, base, name)
    needed = [place.parent if place.parent.exists() else base, hierarchy.home / "cgroup.procs"]
    if place.group.exists():
        needed += [place.group, place.group / "cgroup.procs"]
    enable: frozenset[str] = frozenset()
    if hierarchy.version == 2:
        enable = lacking(base, files)
        needed += _needed_to_hand_on(place, enable, files)
    # What is gone by now, such as a cgroup that another process removed, is in nobody's way.
    missing = tuple(dict.fromkeys(path for path in needed if not files.may_write(path) and path.exists()))
    occupied = bool(enable) and not is_root(base) and bool(files.processes(base))
    return Place(hierarchy, base, name, enable, missing, occupied)


def lacking(group: Path, files: Files) -> frozenset[str]:
    """The controllers that count and that a cgroup of version 2 could hand on, and does not."""
    try:
        handed_on = files.words(group / "cgroup.subtree_control")
        return (COUNTED_V2 & files.words(group / "cgroup.controllers")) - handed_on
    except FileNotFoundError:  # another process has removed it
        return frozenset()


def is_root(group: Path) -> bool:
    """Whether it is the root of all, where processes may be beside controllers that are handed on."""
    return not (group / "cgroup.type").exists()


def _needed_to_hand_on(place: Place, enable: frozenset[str], files: Files) -> Iterator[Path]:
    # A process is moved by whoever may write to the cgroup that holds where it comes from and where it goes.
    yield place.base / "cgroup.procs"
    if enable:
        yield place.base / "cgroup.subtree_control"
    if place.parent.exists() and lacking(place.parent, files):
        yield place.parent / "cgroup.subtree_control"


def in_the_way(places: Sequence[Place]) -> tuple[Path, ...]:
    """What would have to be writable, in all of them."""
    return tuple(path for place in places for path in place.missing)
