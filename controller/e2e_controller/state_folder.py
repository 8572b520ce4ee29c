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

    `idle_timeout`: seconds unused after which this controller ends, which others are told; 0: never.
    """

    def __init__(self, state: Path, idle_timeout: float = 0.0) -> None:
        self._path = state / "lock"
        self._idle_timeout = idle_timeout
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
        file.write(self._about())
        file.flush()
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _about(self) -> str:
        process = os.getpid()
        if not self._idle_timeout:
            return f"process {process}"
        return (
            f"process {process}, which a test or an `e2e` command has started, and which ends by itself when "
            f"it is unused for {self._idle_timeout:g}s"
        )
