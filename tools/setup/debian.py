"""Debian's packages: installed on the machine, only where nothing else will do."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from setup.tries import patiently

LISTS = Path("/var/lib/apt/lists")
INSTALL_TIMEOUT = 900
UPDATE_TIMEOUT = 300
LOCK_TIMEOUT = 300
_LOCKED = ("Could not get lock", "Unable to lock", "Unable to acquire")


class PackageError(Exception):
    """A Debian package could not be had; the message says why and what to do."""


def is_root() -> bool:
    """Whether this process may install packages and start an engine."""
    return os.geteuid() == 0


def has_apt() -> bool:
    """Whether this is Debian, or something that is installed like it."""
    return shutil.which("apt-get") is not None


def install(packages: Sequence[str], purpose: str) -> None:
    """Install packages system-wide, without what they only recommend."""
    names = " ".join(packages)
    if not has_apt() or not is_root():
        raise PackageError(f"{purpose} needs {names}: install it, or run this as root on Debian")
    print(f"installing Debian's {names}: {purpose}", flush=True)
    update()
    command = ["install", "--yes", "--no-install-recommends", *packages]
    try:
        apt_get(command, INSTALL_TIMEOUT)
    except PackageError:
        update(always=True)  # a list that is old names files that the archive no longer has
        patiently(lambda: apt_get(command, INSTALL_TIMEOUT), PackageError)


def update(*, always: bool = False) -> None:
    """Fetch the package lists if there are none, or `always`."""
    if not is_root() or (not always and any(LISTS.glob("*_Packages*"))):
        return
    patiently(lambda: apt_get(["update"], UPDATE_TIMEOUT), PackageError)


def apt_get(arguments: Sequence[str], timeout: float, folder: Path | None = None) -> str:
    """Run apt-get without a question to anyone, and return what it printed."""
    # Another apt may be at work on this machine: wait for its locks, but not for ever. (It does so by itself
    # for dpkg's, not for that of the lists, which a new machine's first update holds.)
    options = ["-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT}", "-o", "Acquire::Retries=3"]
    command = ["apt-get", "--quiet", *options, *arguments]
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        finished = _run(command, timeout, folder)
        if finished.returncode == 0:
            return finished.stdout
        if not any(words in finished.stdout for words in _LOCKED) or time.monotonic() > deadline:
            evidence = "\n".join(finished.stdout.splitlines()[-10:])
            raise PackageError(f"`{' '.join(command)}` ended with {finished.returncode}:\n{evidence}")
        time.sleep(1)


def _run(command: Sequence[str], timeout: float, folder: Path | None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"`{' '.join(command)}` did not end within {timeout:.0f} s") from error
