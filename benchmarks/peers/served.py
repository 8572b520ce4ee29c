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
    script = 'touch "$1" && exec httpd -f -p "$2" -h "$3"'
    return ("sh", "-c", script, "sh", str(path / LISTENS), str(PORT), str(path))


def ending(path: Path, seconds: float, code: int) -> tuple[str, ...]:
    """A program that never serves: it leaves a mark just before it ends."""
    script = 'sleep "$1"; touch "$2"; exit "$3"'
    return ("sh", "-c", script, "sh", f"{seconds:g}", str(path / ENDED), str(code))
