"""Walks a watched folder: which manifest files are there, and how they look from outside.

Nothing is opened here but folders. Links are followed, each folder is walked once, and what a hostile or
mistaken tree can cost is bounded.
"""

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from e2e_api.manifests import DNS_LABEL

SUFFIXES = (".yaml", ".yml", ".json")
_IGNORED_ENDS = ("~", ".tmp", ".temp", ".swp", ".swx", ".swo", ".bak", ".backup", ".orig", ".rej", ".old")
_IGNORED_STARTS = (".", "#", "~")
_LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Identity(NamedTuple):
    """What a folder is, whatever path leads to it."""

    device: int
    inode: int


class Signature(NamedTuple):
    """How a file looks from outside; while this stays the same, so does the content."""

    modified: int
    size: int
    inode: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """The signature that `os.stat` saw."""
        return cls(status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scan may cost."""

    files: int = 20_000
    entries: int = 200_000
    depth: int = 20


DEFAULT_LIMITS = Limits()


def is_ignored(name: str) -> bool:
    """Whether a file or folder of that name is hidden, temporary, or an editor's back-up."""
    return name.startswith(_IGNORED_STARTS) or name.lower().endswith(_IGNORED_ENDS)


def is_manifest(name: str) -> bool:
    """Whether a file of that name is read. One that is not UTF-8 could not be told of."""
    return name.lower().endswith(SUFFIXES) and not is_ignored(name) and _is_text(name)


def environment_of(relative: str) -> str | None:
    """The environment that a file's place gives to its manifests: the first-level folder's name.

    None for a file at the top, and below a folder whose name is no DNS label: those manifests belong to the
    default environment, unless they name one. A scan reports such a folder as a problem.
    """
    folder, slash, _ = relative.partition("/")
    return folder if slash and re.fullmatch(DNS_LABEL, folder) else None


@dataclass(slots=True)
class Scan:
    """What a walk found. Paths begin with the root as it was given."""

    root: str
    files: dict[str, Signature | None] = field(default_factory=dict)
    """None: the file could not be looked at."""
    folders: dict[str, Identity] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """Of folders, by their path below the root; "" is the root."""
    unreadable: set[str] = field(default_factory=set)
    complete: bool = True
    """False: a limit was reached, so a file that is not in `files` may be there all the same."""

    def compare(self, known: Mapping[str, Signature | None]) -> tuple[list[str], set[str]]:
        """The files that may have changed against `known`, and those of `known` that are no longer there.

        What lies below a folder that could not be read counts as still there.
        """
        files = self.files.items()
        changed = [path for path, sign in files if sign is None or known.get(path) != sign]
        missing = {path for path in known if path not in self.files and self._can_be_judged(path)}
        return changed, missing

    def _can_be_judged(self, path: str) -> bool:
        if not self.complete and os.path.lexists(path):
            return False
        return not any(path.startswith(folder + "/") for folder in self.unreadable)


def scan_folder(
    root: str,
    limits: Limits = DEFAULT_LIMITS,
    before_listing: Callable[[str, Identity], None] = lambda _path, _identity: None,
) -> Scan:
    """Walks the folder.

    `before_listing` is called for each folder before its entries are read, so that a watch begun there
    misses nothing.
    """
    walk = _Walk(root, limits, before_listing)
    walk.run()
    return walk.scan


class _Folder(NamedTuple):
    path: str
    depth: int
    identity: Identity


class _LimitReachedError(Exception):
    pass


class _Walk:
    def __init__(self, root: str, limits: Limits, before_listing: Callable[[str, Identity], None]) -> None:
        self.scan = Scan(root)
        self._limits = limits
        self._before_listing = before_listing
        self._entries = 0
        self._visited: set[Identity] = set()
        # A folder that two paths lead to keeps its own name rather than a link's: links are walked last.
        self._own: deque[_Folder] = deque()
        self._linked: deque[_Folder] = deque()

    def run(self) -> None:
        try:
            status = Path(self.scan.root).stat()
        except OSError as error:
            self._root_problem(error)
            return
        self._own.append(_Folder(self.scan.root, 0, Identity(status.st_dev, status.st_ino)))
        try:
            while self._own or self._linked:
                self._list((self._own or self._linked).popleft())
        except _LimitReachedError as error:
            self.scan.complete = False
            self.scan.problems[""] = str(error)
        self._name_folders_without_environment()

    def _root_problem(self, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            self.scan.problems[""] = "the folder does not exist"
        else:
            self._unreadable(self.scan.root, error)

    def _unreadable(self, path: str, error: OSError) -> None:
        self.scan.unreadable.add(path)
        self._problem(path, f"the folder cannot be read: {error.strerror or error}")

    def _problem(self, path: str, message: str) -> None:
        self.scan.problems.setdefault(path[len(self.scan.root) + 1 :], message)

    def _list(self, folder: _Folder) -> None:
        if folder.identity in self._visited:
            return
        self._visited.add(folder.identity)
        self._before_listing(folder.path, folder.identity)
        try:
            with os.scandir(folder.path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except FileNotFoundError:
            if folder.depth == 0:
                self.scan.problems[""] = "the folder does not exist"
            return
        except NotADirectoryError:
            self._problem(folder.path, "not a folder")
            return
        except OSError as error:
            self._unreadable(folder.path, error)
            return
        self.scan.folders[folder.path] = folder.identity
        self._entries += len(entries)
        if self._entries > self._limits.entries:
            raise _LimitReachedError(f"more than {self._limits.entries} entries; the rest is not read")
        for entry in entries:
            if not is_ignored(entry.name):
                self._take(folder, entry)

    def _take(self, folder: _Folder, entry: os.DirEntry[str]) -> None:
        manifest = entry.name.lower().endswith(SUFFIXES)
        status = unseen = None
        try:
            if not manifest and not entry.is_dir():
                return
            status = entry.stat()
        except OSError as error:
            unseen = error if error.errno not in _LEADS_NOWHERE else None
        if not _is_text(entry.name):
            self._problem(folder.path, f"a name is not UTF-8: {entry.name!a}; rename it")
        elif unseen is not None and not manifest:
            self._unreadable(entry.path, unseen)
        elif status is not None and stat.S_ISDIR(status.st_mode):
            self._enter(folder, entry, Identity(status.st_dev, status.st_ino))
        elif manifest:
            if len(self.scan.files) >= self._limits.files:
                raise _LimitReachedError(f"more than {self._limits.files} files; the rest is not read")
            self.scan.files[entry.path] = Signature.of(status) if status is not None else None
            if unseen is not None:
                self.scan.unreadable.add(entry.path)  # it may be a folder

    def _enter(self, folder: _Folder, entry: os.DirEntry[str], identity: Identity) -> None:
        if folder.depth + 1 > self._limits.depth:
            self._problem(entry.path, f"deeper than {self._limits.depth} folders; it is not read")
            return
        queue = self._linked if entry.is_symlink() else self._own
        queue.append(_Folder(entry.path, folder.depth + 1, identity))

    def _name_folders_without_environment(self) -> None:
        start = len(self.scan.root) + 1
        first = {path[start:].split("/", 1)[0] for path in self.scan.files if "/" in path[start:]}
        for name in first:
            if not re.fullmatch(DNS_LABEL, name):
                self.scan.problems.setdefault(
                    name,
                    "the name is no lowercase DNS label, so it names no environment: manifests below it "
                    "belong to the default environment unless they say metadata.environment",
                )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
