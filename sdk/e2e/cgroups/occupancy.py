"""Being in one cgroup: making it, or taking over what a killed process left; leaving it, and removing it."""

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from e2e.cgroups.errors import CgroupError
from e2e.cgroups.files import Files
from e2e.cgroups.hierarchies import COUNTED_V2, Hierarchy
from e2e.cgroups.leftovers import remove_left, remove_parent
from e2e.cgroups.places import PARENT, Place, lacking
from e2e_api.errors import Conflict

_SECONDS_TO_CLAIM = 30.0
"""On a busy machine, whoever just begins, ends or looks may be halted meanwhile."""
_SECONDS_TO_EMPTY, _PAUSE = 5.0, 0.01
_REFUSES = (errno.EBUSY, errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)
"""What the kernel says of a cgroup that takes no processes, or is gone."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """This process in its own cgroup of one hierarchy."""

    place: Place
    files: Files
    lock: int
    """A descriptor; the lock goes with this process, and so tells whether it lives."""

    @property
    def controllers(self) -> frozenset[str]:
        """Those that count what is in it."""
        if self.place.hierarchy.version == 1:
            return self.place.hierarchy.controllers
        return COUNTED_V2 & self.files.words(self.place.group / "cgroup.controllers")

    def without(self, gone: Iterable["Occupancy"]) -> "Occupancy":
        """Where this process came here from one of those, it came from where it was before."""
        before = {each.place.group: each.place.hierarchy for each in gone}
        hierarchy = before.get(self.place.hierarchy.home, self.place.hierarchy)
        return replace(self, place=replace(self.place, hierarchy=hierarchy))

    def release(self, process: int) -> None:
        """Moves another process to where this one came from. Raises OSError."""
        _move(process, self.place.hierarchy, self.files)

    def end(self) -> None:
        """Moves all that is in the cgroup to where this process came from, and removes it."""
        try:
            _clear(self.place.group, self.place.hierarchy, self.files)
            remove_parent(self.place.parent, self.files)
        finally:
            os.close(self.lock)


def occupy(place: Place, files: Files) -> Occupancy:
    """Enters it. Raises Conflict where a process that lives has it, CgroupError where the kernel refuses."""
    try:
        lock = _claim(place, files)
        try:
            for process in files.processes(place.group):  # children of a process that was killed
                _move(process, place.hierarchy, files)
            files.write(place.group / "cgroup.procs", str(os.getpid()))
        except BaseException:
            with contextlib.suppress(OSError):
                files.remove(place.group)
            os.close(lock)
            raise
        _remove_leftovers(place, files)
    except OSError as error:
        raise CgroupError(f"this process cannot enter the cgroup {place.path}: {error}") from error
    return Occupancy(place, files, lock)


def _claim(place: Place, files: Files) -> int:
    """Makes the cgroup or takes it over, and locks it."""
    deadline = time.monotonic() + _SECONDS_TO_CLAIM
    while time.monotonic() < deadline:
        try:
            _make(place, files)
            lock = files.lock(place.group)
            if lock is not None:
                return lock
            if processes := files.processes(place.group):
                raise _conflict(place, processes)
            time.sleep(_PAUSE)  # another process enters it, leaves it, or looks whether it is a leftover
        except FileNotFoundError:
            time.sleep(_PAUSE)  # another process removed what was empty
    raise Conflict(f"the cgroup {place.path} is that of another process, which begins or ends", reason="Held")


def _conflict(place: Place, processes: Sequence[int]) -> Conflict:
    if os.getpid() in processes:
        return Conflict(f"this process is in the cgroup {place.path} already; give another name")
    told = ", ".join(map(str, processes))
    return Conflict(f"the cgroup {place.path} is that of another process: {told}", reason="Held")


def _make(place: Place, files: Files) -> None:
    if place.hierarchy.version == 2:
        _hand_on(place.base, files)
    with contextlib.suppress(FileExistsError):
        files.make(place.parent)
    if place.hierarchy.version == 2:
        _hand_on(place.parent, files)
    with contextlib.suppress(FileExistsError):
        files.make(place.group)


def _hand_on(group: Path, files: Files) -> None:
    """One by one, as one that the kernel refuses would keep the others from it."""
    for controller in sorted(lacking(group, files)):
        with contextlib.suppress(OSError):
            files.write(group / "cgroup.subtree_control", f"+{controller}")


def _remove_leftovers(place: Place, files: Files) -> None:
    """Cgroups that nobody is in, and whose process does not live."""
    for group in files.groups_in(place.parent):
        if group not in (place.group, place.hierarchy.home):
            with contextlib.suppress(OSError):
                remove_left(group, files)


def _clear(group: Path, hierarchy: Hierarchy, files: Files) -> None:
    """Empties a cgroup and removes it, with those that children have made in it."""
    for inner in files.groups_in(group):
        _clear(inner, hierarchy, files)
    deadline = time.monotonic() + _SECONDS_TO_EMPTY
    while True:
        for process in files.processes(group):
            _move(process, hierarchy, files)
        try:
            return files.remove(group)
        except OSError as error:
            # A process may have begun meanwhile; one that ends is in it a moment longer.
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)


def _move(process: int, hierarchy: Hierarchy, files: Files) -> None:
    """To where this process came from; where that is gone, to the nearest above it."""
    for group in _home_and_above(hierarchy):
        try:
            return files.write(group / "cgroup.procs", str(process))
        except ProcessLookupError:
            return None
        except OSError as error:
            if error.errno not in _REFUSES or group == hierarchy.mount:
                raise
    return None


def _home_and_above(hierarchy: Hierarchy) -> Iterator[Path]:
    yield hierarchy.home
    for group in hierarchy.home.parents:
        # That which holds those of processes holds no process itself.
        if group.is_relative_to(hierarchy.mount) and group.name != PARENT:
            yield group
