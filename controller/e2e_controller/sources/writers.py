"""Knows whether somebody has a file open for writing.

Linux answers exactly: a read lease is refused while a writer has the file open. It is given back at once;
a writer that comes in those microseconds waits for them.
"""

import errno
import fcntl
import os
import signal
import sys
from enum import Enum
from functools import lru_cache
from pathlib import Path

_REMOTE = ("nfs", "cifs", "smb", "fuse", "virtiofs", "9p", "afs", "ceph", "lustre", "vboxsf", "prl_fs")


class Writer(Enum):
    """Who has the file open for writing."""

    NONE = "none"
    PRESENT = "present"
    UNKNOWN = "unknown"
    """Nobody can tell: another machine may, or the system does not say."""


def find_writer(descriptor: int) -> Writer:
    """Whether anybody has the file behind a read-only descriptor open for writing."""
    if sys.platform != "linux":
        return Writer.UNKNOWN
    try:
        # The signal that tells a lease's holder to give way would end the process if it were SIGIO.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # EACCES: the file is another user's. EINVAL: the file system knows no leases.
        return Writer.PRESENT if error.errno == errno.EAGAIN else Writer.UNKNOWN
    try:
        return Writer.UNKNOWN if _is_remote(os.fstat(descriptor).st_dev) else Writer.NONE
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


@lru_cache(maxsize=256)
def _is_remote(device: int) -> bool:
    """Whether the file system may be written by another kernel, whose writers no lease shows."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    kinds = [line.partition(" - ")[2] for line in lines if line.split(" ", 3)[2:3] == [number]]
    return any(kind.startswith(_REMOTE) for kind in kinds)
