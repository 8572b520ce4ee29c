"""The state folder: one controller at a time, and who that is."""

import fcntl
import hashlib
import os
import platform
from pathlib import Path
from typing import IO


class StateFolderError(Exception):
    """The folder cannot be used; the text says why, and what helps."""


def controller_id(state: Path) -> str:
    """The same for the same folder on the same machine, also when the folder was wiped in between."""
    return hashlib.sha256(f"{platform.node()}:{state.resolve()}".encode()).hexdigest()[:12]


class StateLock:
    """Held by the controller that uses a state folder. Entering raises `StateFolderError`."""

    def __init__(self, state: Path) -> None:
        self._path = state / "lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+")
        except OSError as error:
            raise StateFolderError(f"cannot use state folder {folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            other = self._file.read().strip() or "another controller"
            self._file.close()
            message = f"state folder {folder} is in use by {other}; give this one its own --state-dir"
            raise StateFolderError(message) from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
