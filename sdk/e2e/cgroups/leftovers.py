"""Cgroups of processes that are gone: of those that were killed, which nobody removed."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cgroups.errors import CgroupError
from e2e.cgroups.files import Files
from e2e.cgroups.hierarchies import Hierarchy, read_hierarchies
from e2e.cgroups.places import PARENT, bases, path_of


@dataclass(frozen=True, slots=True)
class Leftover:
    """A cgroup that nobody is in, and whose process does not live."""

    path: str
    """As the kernel names it."""
    groups: tuple[Path, ...]
    """It in each hierarchy."""

    @property
    def environment(self) -> str:
        """The environment for which it was made; empty for none."""
        return self.path.rpartition("/")[2].rpartition(".")[0]

    def remove(self, files: Files | None = None) -> None:
        """Removes it, unless a process has taken it over meanwhile. Raises CgroupError."""
        files = files or Files()
        try:
            for group in self.groups:
                remove_left(group, files)
                remove_parent(group.parent, files)
        except OSError as error:
            raise CgroupError(f"the cgroup {self.path} cannot be removed: {error}") from error


def find_leftovers(
    hierarchies: Sequence[Hierarchy] | None = None, files: Files | None = None
) -> list[Leftover]:
    """Those that this user may remove, by path; none where there are no cgroups."""
    files = files or Files()
    found: dict[str, list[Path]] = {}
    with contextlib.suppress(CgroupError):
        for hierarchy in read_hierarchies() if hierarchies is None else hierarchies:
            for group in _left_in(hierarchy, files):
                found.setdefault(path_of(hierarchy, group), []).append(group)
    return [Leftover(path, tuple(groups)) for path, groups in sorted(found.items())]


def _left_in(hierarchy: Hierarchy, files: Files) -> Iterator[Path]:
    for parent in [base / PARENT for base in bases(hierarchy)]:
        if hierarchy.read_only or not files.may_write(parent):
            continue
        for group in _groups_in(parent, files):
            # Another process may remove it at any time.
            with contextlib.suppress(OSError):
                if (lock := files.lock(group)) is not None:
                    os.close(lock)
                    if _is_empty(group, files):
                        yield group


def remove_left(group: Path, files: Files) -> None:
    """Removes it with all in it, unless there is a process in it, or whose it is lives. Raises OSError."""
    try:
        if (lock := files.lock(group)) is None:
            return
    except FileNotFoundError:
        return
    try:
        _remove(group, files)
    finally:
        os.close(lock)


def remove_parent(parent: Path, files: Files) -> None:
    """Removes what held them, once it is empty."""
    with contextlib.suppress(OSError):  # others are in it, or have removed it
        if parent.stat().st_uid == os.geteuid():  # else it was made ready for this user
            files.remove(parent)


def _remove(group: Path, files: Files) -> None:
    for inner in files.groups_in(group):
        _remove(inner, files)
    with contextlib.suppress(FileNotFoundError):
        files.remove(group)


def _is_empty(group: Path, files: Files) -> bool:
    if files.read(group / "cgroup.procs").strip():  # also those that cannot be seen from here
        return False
    return all(_is_empty(inner, files) for inner in files.groups_in(group))


def _groups_in(parent: Path, files: Files) -> Sequence[Path]:
    try:
        return files.groups_in(parent)
    except OSError:
        return ()
