"""One at a time, across processes and clones of this repository."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockTimeoutError(Exception):
    """Another process held the lock for longer than this one may wait."""


def cache_folder() -> Path:
    """Where this user's locks and toolchains lie: outside the clone, since clones share one engine."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "e2e-setup"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def exclusive(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock on `path` for the length of the block, waiting at most `timeout` seconds for it.

    The file stays behind: to remove it would let a third process lock a file that the second no longer sees.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Append mode: a plain "w" would wipe the process id that the holder wrote.
    with path.open("a+") as file:
        _acquire(file.fileno(), path, timeout)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _acquire(descriptor: int, path: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    tries = 0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text().strip() or "unknown"
            if time.monotonic() > deadline:
                raise LockTimeoutError(
                    f"process {holder} has held {path} for {timeout:.0f} s; wait for it, or end it"
                ) from None
            tries += 1
            # Not at the first: the holder may not have written its id yet, or be done at once.
            if tries == 3:
                print(f"waiting for process {holder}, which is at the same work", file=sys.stderr, flush=True)
            time.sleep(0.1)
        else:
            return
