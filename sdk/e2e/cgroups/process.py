"""Moves this process into a cgroup of its own, and back."""

import atexit
import contextlib
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.cgroups import advice
from e2e.cgroups.errors import CgroupError
from e2e.cgroups.files import Files
from e2e.cgroups.hierarchies import COUNTED_V2, Hierarchy, read_hierarchies
from e2e.cgroups.occupancy import Occupancy, occupy
from e2e.cgroups.places import choose
from e2e.naming import check_label

_SYSTEMD = Path("/run/systemd/system")
_entered: list["ProcessContainer"] = []
"""Those that this process is in; the first is that which it entered first."""


def current_process_as_container(name: str = "test-process", environment: str = "") -> "ProcessContainer":
    """Puts this process, its threads and its future children into the cgroup `/e2e/<name>`, at once.

    With an environment it is `/e2e/<environment>.<name>`, as containers are named, so that processes of
    several environments can have the same name; each monitoring shows that of its own.

    The limits of the cgroups that it comes from do not hold meanwhile. Where this user only has a part of the
    tree, such as a systemd user session, the cgroup is in that part, and its path ends with `/e2e/<name>`.

    Raises NotPermitted, with the commands to run once, where this user may not; Conflict where a process that
    lives has that name; InvalidArgument where a name is no DNS label; CgroupError where there are no
    cgroups, or the kernel refuses.
    """
    group = check_label(name, "a cgroup")
    if environment:
        group = f"{check_label(environment, 'an environment')}.{group}"
    container = ProcessContainer.enter(group, read_hierarchies(), Files())
    container.name = name
    return container


def release(process: int) -> None:
    """Moves a child of this process to where this one was before it had a cgroup of its own.

    It is for one that outlives this process. Nothing happens where that is not permitted, or this process has
    no cgroup of its own.
    """
    for occupancy in _entered[0].occupancies if _entered else ():
        with contextlib.suppress(OSError):
            occupancy.release(process)


class ProcessContainer:
    """A process in a cgroup of its own; a context manager, which moves it back at its end."""

    def __init__(self, name: str, occupancies: Sequence[Occupancy]) -> None:
        self.name = name
        """As it was given: what monitoring shows as the workload."""
        self.occupancies = tuple(occupancies)
        """It in each of the hierarchies; none once it is closed."""
        self._process = os.getpid()
        _entered.append(self)
        atexit.register(self.close)

    @classmethod
    def enter(cls, name: str, hierarchies: Sequence[Hierarchy], files: Files) -> Self:
        """Enters it in all of the hierarchies, or in none."""
        places = [choose(hierarchy, name, files) for hierarchy in hierarchies]
        if not all(place.usable for place in places):
            is_root = os.geteuid() == 0
            raise advice.not_permitted(places, _user(), is_root=is_root, systemd=_SYSTEMD.exists())
        entered: list[Occupancy] = []
        try:
            for place in places:
                entered.append(occupy(place, files))
        except BaseException:
            _end([occupancy.end for occupancy in reversed(entered)])
            raise
        return cls(name, entered)

    @property
    def paths(self) -> Mapping[str, str]:
        """The cgroup's path by controller, as the kernel names it: `/e2e/<name>`, or ending so."""
        return {
            controller: occupancy.place.path
            for occupancy in self.occupancies
            for controller in sorted(occupancy.controllers)
        }

    @property
    def not_counted(self) -> frozenset[str]:
        """Of cpu, memory, io and pids, what this machine does not count for the process.

        Such as what its user session was not given. Of version 2, processor time is counted anyway.
        """
        renamed = {"cpuacct": "cpu", "blkio": "io"}
        return COUNTED_V2 - {renamed.get(controller, controller) for controller in self.paths}

    def close(self) -> None:
        """Moves the process and its children that are left to where it came from, and removes the cgroup.

        A second call does nothing, and so does one in a fork of the process. Raises CgroupError.
        """
        if os.getpid() != self._process:
            return
        atexit.unregister(self.close)
        occupancies, self.occupancies = self.occupancies, ()
        if self in _entered:
            _entered.remove(self)
        for other in _entered:
            other.occupancies = tuple(each.without(occupancies) for each in other.occupancies)
        _end([occupancy.end for occupancy in reversed(occupancies)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def _end(ends: Sequence[Callable[[], None]]) -> None:
    """Does all of them; what goes wrong is told afterwards."""
    problems = []
    for end in ends:
        try:
            end()
        except OSError as error:
            problems.append(str(error))
    if problems:
        raise CgroupError(f"a cgroup could not be left and removed: {'; '.join(problems)}")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
