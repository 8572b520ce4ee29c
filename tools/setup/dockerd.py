"""Start Docker's daemon on a machine where none runs, whatever that machine lacks."""

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from setup import debian
from setup.endpoint import Endpoint, EndpointError, ping

STATE = Path("/var/lib/e2e-engine")
LOG = STATE / "dockerd.log"
PID_FILE = Path("/run/docker.pid")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
START_TIMEOUT = 180
LOG_LINES = 15


class DaemonError(Exception):
    """The daemon did not start; the message carries the last lines of its log."""


@dataclass(frozen=True)
class Way:
    """How to start the daemon; the first one leaves every choice to the daemon and the machine."""

    storage: str = ""
    legacy_iptables: bool = False


def start(endpoint: Endpoint) -> None:
    """Install the daemon if it is missing, start it, and return when it answers."""
    # A root shell that `su` made may lack them, and there the daemon and iptables are.
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    if shutil.which("dockerd") is None:
        debian.install(["docker.io", "iptables"], "no container engine is installed")
    elif shutil.which("iptables") is None:
        debian.install(["iptables"], "the container engine needs it")
    if _systemd_starts_it() or _is_running():
        _wait_until_it_answers(endpoint, None)
        return
    _forget_what_died()
    _start_detached(endpoint)


def _systemd_starts_it() -> bool:
    if not Path("/run/systemd/system").is_dir():
        return False
    try:
        finished = subprocess.run(["systemctl", "start", "docker"], stdin=subprocess.DEVNULL, timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return finished.returncode == 0


def _is_running() -> bool:
    # The package's own init script may have started it during the installation.
    try:
        process = int(PID_FILE.read_text())
        return Path(f"/proc/{process}/comm").read_text().strip() == "dockerd"
    except (OSError, ValueError):
        return False


def _forget_what_died() -> None:
    """Remove what a daemon leaves in /run when its machine stops: the next one would take it for alive."""
    PID_FILE.unlink(missing_ok=True)
    if CONTAINERD_SOCKET.exists():
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(CONTAINERD_SOCKET))
        except OSError:
            CONTAINERD_SOCKET.unlink(missing_ok=True)


def _start_detached(endpoint: Endpoint) -> None:
    way = Way()
    while True:
        process = _spawn(way)
        try:
            _wait_until_it_answers(endpoint, process)
        except DaemonError:
            following = _next_way(way, _fatal_words())
            if following is None:
                raise
            way = following
            print(f"dockerd did not start; once more, with {way}", flush=True)
        else:
            return


def _next_way(way: Way, words: str) -> Way | None:
    """Return what to try after the daemon died with these words, or None if nothing is known to help."""
    if "iptables" in words and not way.legacy_iptables and shutil.which("iptables-legacy"):
        return replace(way, legacy_iptables=True)
    if "graphdriver" in words and not way.storage:
        return replace(way, storage="vfs")
    return None


def _spawn(way: Way) -> subprocess.Popen[bytes]:
    STATE.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if way.legacy_iptables:
        environment["PATH"] = f"{_legacy_iptables_folder()}:{environment['PATH']}"
    with LOG.open("wb") as log:
        return subprocess.Popen(
            ["dockerd", *([f"--storage-driver={way.storage}"] if way.storage else [])],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its own session: it must outlive this process and the terminal.
            start_new_session=True,
        )


def _legacy_iptables_folder() -> Path:
    """A folder for PATH in which iptables is the legacy one: the machine's own choice stays as it is."""
    folder = STATE / "iptables-legacy"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
        legacy = shutil.which(name.replace("tables", "tables-legacy"))
        link = folder / name
        if legacy and not link.exists():
            link.symlink_to(legacy)
    return folder


def _wait_until_it_answers(endpoint: Endpoint, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            ping(endpoint, timeout=2)
        except EndpointError as error:
            code = process.poll() if process else None
            if code is not None:
                raise DaemonError(f"dockerd ended with {code}. {_evidence()}") from error
            if time.monotonic() > deadline:
                late = f"dockerd does not answer after {START_TIMEOUT} s: {error}."
                raise DaemonError(f"{late} {_evidence()}") from error
            time.sleep(0.1)
        else:
            return


def _evidence() -> str:
    tail = "\n".join(_log_lines()[-LOG_LINES:])
    return f"{LOG} ends:\n{tail}" if tail else f"There is nothing in {LOG}."


def _fatal_words() -> str:
    return "\n".join(line for line in _log_lines() if "failed to start daemon" in line)


def _log_lines() -> list[str]:
    try:
        return LOG.read_text(errors="replace").splitlines()
    except OSError:
        return []
