"""Where a Unix socket stands in the file system: never taken from somebody who is there.

gRPC removes a socket that is in its way, even one that is in use, and when it stops the one that stands there
by then. So it is given a name that nobody else uses, and the socket is renamed once it is bound.
"""

import os
import socket
import stat
from pathlib import Path

_LONGEST_PATH = 107


class ListenError(Exception):
    """An address cannot be listened on."""


class UnixSocket:
    """One path. Raises `ListenError` where it cannot be had."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self.temporary = path.with_name(f".{os.getpid():x}{path.name}"[: max(len(path.name), 12)])
        """Where it is to be bound, before `place`."""
        if max(len(os.fsencode(place)) for place in (path, self.temporary)) > _LONGEST_PATH:
            raise ListenError(f"{path} is too long for a socket; give a shorter path")
        self._check()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ListenError(f"cannot make {path.parent}: {error.strerror}") from error

    def place(self) -> None:
        """Gives the bound socket its name; only this user may open it."""
        self._check()
        self.temporary.chmod(0o600)
        self._identity = _identity(self.temporary)
        self.temporary.replace(self._path)

    def remove(self) -> None:
        """Removes it, unless another one stands there by now."""
        if self._identity is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)

    def _check(self) -> None:
        """What may be replaced is a socket that refuses connections: nobody serves there any more."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise ListenError(f"cannot listen on {self._path}: {error.strerror}") from error
        if not stat.S_ISSOCK(mode):
            raise ListenError(f"{self._path} is there already and no socket; remove it, or give another path")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                return
            except OSError as error:
                why = f"somebody's socket is there: {error.strerror}"
            else:
                why = "another process serves there"
        raise ListenError(f"cannot listen on {self._path}: {why}; stop it, or give another path")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
