"""The state folder: one controller at a time, and who that is."""

import fcntl
import hashlib
import os
import platform
from pathlib import Path
from typing import IO, Self


class StateFolderError(Exception):
    """The folder cannot be used; the text says why, and what helps."""


class StateFolderInUse(StateFolderError):  # noqa: N818
    """Another controller uses it."""


def controller_id(state: Path) -> str:
    """The same for the same folder on the same machine, also when the folder was wiped in between."""
    return hashlib.sha256(f"{platform.node()}:{state.resolve()}".encode()).hexdigest()[:12]


class StateLock:
    """Held by the controller that uses a state folder. Entering raises `StateFolderError`.

    `holder` is what another one is told of this one; default: its process.
    """

    def __init__(self, state: Path, holder: str = "") -> None:
        self._path = state / "lock"
        self._holder = holder or f"process {os.getpid()}"
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+")
        except OSError as error:
            raise StateFolderError(f"cannot use state folder {folder}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other = file.read().strip() or "another controller"
            file.close()
            message = (
                f"state folder {folder} is in use by {other}; end it, or give this one its own --state-dir"
            )
            raise StateFolderInUse(message) from None
        file.truncate(0)
        file.write(self._holder)
        file.flush()
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
