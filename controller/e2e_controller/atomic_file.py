"""Files that a reader, or the next start after a crash, sees whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".tmp"


def replace_file(path: Path, text: str) -> None:
    """Writes by temporary file and rename; makes the folder if need be. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=_SUFFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Removes what writes left that were cut off in the folder or one below, and folders that are empty then.

    Nobody may be writing there. What cannot be removed stays: it is in nobody's way.
    """
    for pattern in (f".*{_SUFFIX}", f"*/.*{_SUFFIX}"):
        for torn in folder.glob(pattern):
            with suppress(OSError):
                torn.unlink()
                if torn.parent != folder and not any(torn.parent.iterdir()):
                    torn.parent.rmdir()


def keep_only(folder: Path, wanted: Iterable[Path]) -> None:
    """Removes the files that nobody wants. What cannot be removed is in nobody's way."""
    kept = set(wanted)
    with suppress(OSError):
        for path in folder.glob("*"):
            if path not in kept:
                path.unlink()
