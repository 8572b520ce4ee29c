"""Directories that containers share with the test. They may have put links there: none is followed.

A link in a directory that a container may write to can lead to any place of the host's.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from e2e_api.errors import Conflict, InvalidArgument

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK  # a pipe that nobody reads must not hold us up
_OPEN_TO_ALL = 0o777
_OTHER_KINDS = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO)


def make_open(shared: Path, name: str) -> Path:
    """The directory of that name in a shared one, where containers write as whichever user they run.

    Raises Conflict where something else is in its place.
    """
    path = shared / name
    shared.mkdir(parents=True, exist_ok=True)
    with _opened(shared, _FOLDER) as parent, _folder(parent, path) as folder:
        if os.fstat(folder).st_mode & _OPEN_TO_ALL != _OPEN_TO_ALL:
            os.fchmod(folder, _OPEN_TO_ALL)
    return path


def write_file(base: Path, path: str, content: bytes) -> Path:
    """Writes a file below `base`, with its folders; gives its path.

    Raises InvalidArgument for a path that leads out of `base`, and Conflict where a link is in its way.
    """
    target = Path(os.path.normpath(base / path))
    if not target.is_relative_to(base) or target == base:
        raise InvalidArgument(f"{path!r} is no path of a file below {base}")
    with ExitStack() as stack:
        parent = stack.enter_context(_opened(base, _FOLDER | os.O_NOFOLLOW))
        for folder in reversed(target.relative_to(base).parents[:-1]):
            parent = stack.enter_context(_folder(parent, base / folder))
        descriptor = stack.enter_context(_opened(target, _FILE | os.O_NOFOLLOW, parent))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _in_the_way(target)
        os.ftruncate(descriptor, 0)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
    return target


@contextmanager
def _folder(parent: int, path: Path) -> Iterator[int]:
    with suppress(FileExistsError):
        os.mkdir(path.name, dir_fd=parent)
    with _opened(path, _FOLDER | os.O_NOFOLLOW, parent) as descriptor:
        yield descriptor


@contextmanager
def _opened(path: Path, flags: int, parent: int | None = None) -> Iterator[int]:
    try:
        descriptor = os.open(path if parent is None else path.name, flags, 0o666, dir_fd=parent)
    except OSError as error:
        if error.errno in _OTHER_KINDS:
            raise _in_the_way(path) from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _in_the_way(path: Path) -> Conflict:
    return Conflict(
        f"{path} is a link or of another kind, perhaps a container's work; remove it, or use another name"
    )
