"""The state folder: one controller at a time, who that is, and whether it lives."""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import time
from enum import StrEnum
from pathlib import Path
from typing import IO, Self

from e2e_controller.atomic_file import replace_file
from e2e_controller.drivers.inventory import Owner
from e2e_controller.own_container import mount_of, own_hints

CONTROLLER_ID = "[a-z0-9-]{1,40}"
_MACHINE = Path("/etc/machine-id")
_TRIES = 5
_PAUSE = 0.02
_LONGEST_HOLDER = 4096


class StateFolderError(Exception):
    """The folder cannot be used; the text says why, and what helps."""


class StateFolderInUse(StateFolderError):  # noqa: N818
    """Another process has it: `holder`."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"state folder {folder} is in use by {holder}; end it, or give this one its own --state-dir"
        )
        self.holder = holder


class OwnerState(StrEnum):
    """Whether a controller can still take care of what it made."""

    LIVE = "live"
    """It runs: its state folder's lock is held."""
    STOPPED = "stopped"
    """Its state folder is there, so it may be started again, and adopt."""
    ORPHANED = "orphaned"
    """Its state folder, or what says whose that is, is gone: nobody ever adopts."""
    UNKNOWN = "unknown"
    """Its state folder is on another machine, or cannot be seen, or is not known."""


def controller_id(state: Path) -> str:
    """What the folder says, so that another host name makes no other controller of it.

    Else the same for the same folder on the same machine, also when the folder was wiped in between.
    """
    with contextlib.suppress(OSError):
        known = read_controller_id(state) or ""
        if re.fullmatch(CONTROLLER_ID, known):
            return known
    return hashlib.sha256(f"{platform.node()}:{state.resolve()}".encode()).hexdigest()[:12]


def host_identity(state: Path, machine: Path = _MACHINE, root: Path = Path("/")) -> str:
    """The machine whose file system this process sees; `root` is for tests.

    The host's name is part of it, since containers of one image may all have the same machine id. In a
    container it is what the state folder is mounted from: another container with the same volume sees the
    same folder there, and one with another volume, or none, another folder of the same name.
    """
    if own_hints(root).is_certain:
        return hashlib.sha256(mount_of(state, root).encode()).hexdigest()[:12]
    try:
        identity = machine.read_text().strip()
    except (OSError, ValueError):
        identity = ""
    return hashlib.sha256(f"{identity}:{platform.node()}".encode()).hexdigest()[:12]


def owner_state(owner: Owner, host: str) -> OwnerState:
    """Looks at the owner's state folder, and changes nothing there. May block where that is a network's."""
    if not owner.state_dir or owner.host not in (host, host_identity(Path(owner.state_dir))):
        return OwnerState.UNKNOWN
    try:
        known = read_controller_id(Path(owner.state_dir))
        if known is not None and known not in ("", owner.controller_id):
            return OwnerState.STOPPED  # another one uses the folder now, as --controller-id can make it be
        if _is_locked(Path(owner.state_dir)):
            return OwnerState.LIVE
    except OSError:
        return OwnerState.UNKNOWN
    return OwnerState.ORPHANED if known is None else OwnerState.STOPPED


def is_own(owner: Owner) -> bool:
    """Whether the owner's state folder is still its own, or nobody's."""
    try:
        return read_controller_id(Path(owner.state_dir)) in ("", owner.controller_id)
    except OSError:
        return False


def read_controller_id(state: Path) -> str | None:
    """Whose state folder it is; None where nothing says so. Raises OSError where it cannot be seen."""
    try:
        return (state / "controller-id").read_text(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def attended_at(state: Path) -> float:
    """When a controller last used it, in seconds since 1970; 0 where nothing tells. Raises OSError."""
    try:
        return (state / "lock").stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


def write_controller_id(state: Path, identity: str) -> None:
    """Says whose state folder it is. Raises `StateFolderError`."""
    try:
        if read_controller_id(state) != identity:
            replace_file(state / "controller-id", identity + "\n")
    except OSError as error:
        raise _unusable(state, error) from error


def _unusable(state: Path, error: OSError) -> StateFolderError:
    remedy = ""
    if isinstance(error, PermissionError):
        remedy = (
            f"; user {os.geteuid()} has to be able to write there, so make it as that user, and before a "
            "container mounts it: else the engine makes it, for root"
        )
    return StateFolderError(f"cannot use state folder {state}: {error.strerror}{remedy}")


def _is_locked(state: Path) -> bool:
    try:
        descriptor = os.open(state / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class StateLock:
    """Held by the controller that uses a state folder. Entering raises `StateFolderError`.

    `holder` is what another one is told.
    """

    def __init__(self, state: Path, holder: str = "") -> None:
        self._path = state / "lock"
        self._holder = holder or f"process {os.getpid()}"
        self._file: IO[str] | None = None
        self._renewed = False

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._path.parent

    def __enter__(self) -> Self:
        folder = self._path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # manifests may hold secrets
            file = self._path.open("a+", errors="replace")
        except OSError as error:
            raise _unusable(folder, error) from error
        if not _lock(file):
            file.seek(0)
            other = file.read(_LONGEST_HOLDER).strip() or "another controller"
            file.close()
            raise StateFolderInUse(folder, other)
        file.truncate(0)
        file.write(self._holder)
        file.flush()
        self._file = file
        return self

    def attend(self) -> None:
        """Shows that its holder still takes care; see `attended_at`. Raises OSError."""
        if self._file is not None:
            os.utime(self._file.fileno())

    def is_lost(self) -> bool:
        """Whether folder or lock were removed, so that others take the holder for dead. Raises OSError."""
        if self._file is None:
            return False
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return True

    def renew(self) -> None:
        """Takes the folder that is there now. Raises `StateFolderError`."""
        lost = self._file
        self.__enter__()
        self._renewed = True
        if lost is not None:
            lost.close()

    def __exit__(self, *_: object) -> None:
        if self._renewed:
            with contextlib.suppress(OSError):
                self._remove_what_was_renewed()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remove_what_was_renewed(self) -> None:
        """Whoever removed the folder meant it; it was made again for as long as its holder runs."""
        if {path.name for path in self.folder.iterdir()} <= {"controller-id", "lock"}:
            shutil.rmtree(self.folder)


def _lock(file: IO[str]) -> bool:
    """Tries several times: somebody may just be looking whether it is locked, which takes no time."""
    for remaining in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if remaining:
                time.sleep(_PAUSE)
    return False
