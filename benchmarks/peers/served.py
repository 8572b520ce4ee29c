"""Folders of the host that a container serves, and what it writes into them."""

import secrets
from pathlib import Path

from benchmarks.contenders import PORT

LISTENS, ENDED = "listens", "ended"


def folder(shared: Path) -> Path:
    """A new one, into which a container's user may write."""
    path = shared / f"served-{secrets.token_hex(3)}"
    path.mkdir()
    path.chmod(0o777)
    return path


def serving(path: Path) -> tuple[str, ...]:
    """A server of the folder; it leaves a mark just before it listens."""
    return ("sh", "-c", f"touch {path}/{LISTENS} && exec httpd -f -p {PORT} -h {path}")


def ending(path: Path, seconds: float, code: int) -> tuple[str, ...]:
    """A program that never serves: it leaves a mark just before it ends."""
    return ("sh", "-c", f"sleep {seconds:g}; touch {path}/{ENDED}; exit {code}")
