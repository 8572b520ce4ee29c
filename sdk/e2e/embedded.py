"""The embedded controller: a subprocess on a socket that only this user can open, shared by all test workers.

It ends by itself when nobody has used it for a while. All of this blocks; it is called from a thread by the
asynchronous client.
"""

import fcntl
import hashlib
import os
import select
import socket
import stat
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.addresses import Target
from e2e.cgroups.process import release
from e2e_api.errors import Unavailable
from e2e_api.places import START_LOCK, STATE_FOLDER_IN_USE, state_folder

IDLE_TIMEOUT = "10s"
_END_SECONDS = 5.0
_START_SECONDS = 30.0
_LOCK_SECONDS = 60.0
_IN_USE_SECONDS = 15.0
_RETRY_SECONDS = 1.0
_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes
_LARGEST_LOG = 10 * 2**20
_QUOTED_LINES = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded controller lives."""

    state: Path
    socket: Path

    @classmethod
    def default(cls) -> "Place":
        """`E2E_STATE_DIR`, else the one in the user's state directory for the engine that is chosen."""
        state = state_folder(os.environ)
        path = state / "controller.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
            runtime = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 - made private, and checked  # nosec B108
            path = Path(runtime, f"e2e-{os.getuid()}-{digest}", "controller.sock")
        return cls(state, path)

    @classmethod
    def of(cls, target: Target) -> "Place":
        """Where the controller lives that `ensure` gave."""
        assert target.log is not None  # noqa: S101 - it is an embedded one's  # nosec B101
        return cls(target.log.parent, Path(target.address.removeprefix("unix:")))

    @property
    def log(self) -> Path:
        """What the controller writes."""
        return self.state / "controller.log"

    @property
    def pid_file(self) -> Path:
        """The process that was started last."""
        return self.state / "embedded.pid"

    @property
    def target(self) -> Target:
        """How to connect."""
        return Target(f"unix:{self.socket}", self.log)


def ensure(place: Place | None = None) -> Target:
    """The embedded controller, started if it does not serve yet. Raises Unavailable with what it said."""
    place = place or Place.default()
    if _serves(place.socket):
        return place.target
    for directory in {place.state, place.socket.parent}:
        _make_private(directory)
    try:
        with _locked(place.state / START_LOCK):
            if not _serves(place.socket):
                _start(place)
    except OSError as error:
        raise Unavailable(f"no embedded controller in {place.state} (E2E_STATE_DIR): {error}") from error
    return place.target


class _FolderInUse(Unavailable):
    """Another controller has the state folder."""


def _start(place: Place) -> None:
    """Starts one, unless somebody's own controller is just starting there."""
    deadline = time.monotonic() + _IN_USE_SECONDS
    while True:
        try:
            _spawn(place)
        except _FolderInUse as error:
            # Either it is about to serve, or it is about to end and leaves the folder to us.
            if _serves_within(place.socket, _RETRY_SECONDS):
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{error}\nThat one does not serve at {place.socket}: name its address with --controller "
                    "or E2E_CONTROLLER, or set E2E_STATE_DIR to another folder"
                ) from None
        else:
            return


def _serves(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _serves_within(path: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _serves(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _make_private(directory: Path) -> None:
    """Makes the directory, or checks that it is this user's; nobody else may look into it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise Unavailable(
                f"{directory} is not a directory of this user: set E2E_STATE_DIR to one that is"
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise Unavailable(f"no place for the embedded controller (E2E_STATE_DIR): {error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time starts a controller."""
    deadline = time.monotonic() + _LOCK_SECONDS
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(f"another process holds {path} for {_LOCK_SECONDS:g} s") from None
                time.sleep(0.02)
        yield


def _command(place: Place, ready: int) -> list[str]:
    # -P: what lies in the working directory must not stand in for a module of the controller's.
    return [
        *(sys.executable, "-P", "-m", "e2e_controller"),
        *("--state-dir", str(place.state)),
        *("--listen", f"unix://{place.socket}"),
        *("--idle-timeout", IDLE_TIMEOUT),
        *("--ready-fd", str(ready)),
    ]


def _spawn(place: Place) -> None:
    if place.log.exists() and place.log.stat().st_size > _LARGEST_LOG:
        place.log.replace(place.log.with_suffix(".log.1"))
    receive, ready = os.pipe()
    with os.fdopen(receive, "rb") as pipe:
        try:
            with place.log.open("ab") as log:
                offset = log.tell()
                process = subprocess.Popen(  # noqa: S603  # nosec B603
                    _command(place, ready),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(ready,),
                    start_new_session=True,
                    cwd=place.state,
                )
        finally:
            os.close(ready)
        release(process.pid)  # what it uses is not this process'
        _replace(place.pid_file, f"{process.pid}\n")
        # Reaps it whenever it ends, and keeps the object alive: it shall outlive this process unnoticed.
        threading.Thread(target=process.wait, name="e2e-embedded-controller", daemon=True).start()
        answer = pipe.readline() if select.select([pipe], [], [], _START_SECONDS)[0] else None
    if answer is None:
        _end(process)  # it must not keep the state folder from the next start
        raise Unavailable(
            f"the embedded controller did not serve within {_START_SECONDS:g} s\n{_said(place.log, offset)}"
        )
    if not answer:
        said = _said(place.log, offset) or f"the embedded controller ended at once; see {place.log}"
        raise (_FolderInUse if _exit_code(process) == STATE_FOLDER_IN_USE else Unavailable)(said)


def _replace(path: Path, text: str) -> None:
    """Whoever reads it meanwhile reads all of the old text, or of the new one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _said(log: Path, offset: int) -> str:
    """The last lines of what was written to the log since `offset`."""
    with log.open("rb") as file:
        file.seek(max(offset, log.stat().st_size - 64 * 2**10))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-_QUOTED_LINES:])


def last_log_lines(log: Path) -> str:
    """The end of the controller's log, for an error that says it is gone; empty when there is none."""
    try:
        return _said(log, 0)
    except OSError:
        return ""
