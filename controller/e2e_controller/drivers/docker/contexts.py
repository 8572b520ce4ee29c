"""The folders that images are built of."""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from docker.api.build import process_dockerfile
from docker.utils.build import create_archive

from e2e_controller.drivers.base import BuildSpec
from e2e_controller.drivers.docker.ignoring import paths_in, read_ignored

MOST_FILES = 100_000
MOST_BYTES = 2**30
"""What a context has beyond that counts by its size and time of change, or not at all."""


@dataclass(frozen=True, slots=True)
class _Context:
    folder: Path
    dockerfile: str
    """Its name in the context."""
    content: str | None
    """Of a Dockerfile that is outside."""
    ignored: tuple[str, ...]
    """Patterns of .dockerignore."""

    def paths(self) -> list[str]:
        """What is packed, sorted. Raises OSError, ValueError."""
        return paths_in(self.folder, self.ignored, self.dockerfile)


def pack_context(spec: BuildSpec) -> tuple[IO[bytes], str]:
    """A temporary file with the context as tar, and the Dockerfile's name in it. Heeds .dockerignore.

    Raises OSError, ValueError.
    """
    context = _find(spec)
    added = []
    if context.content is not None:  # it is not in the folder, and the engine is to leave it out of images
        ignored = "\n".join([*(context.ignored or (".dockerignore",)), context.dockerfile])
        added = [(".dockerignore", ignored), (context.dockerfile, context.content)]
    packed: Any = create_archive(str(context.folder), context.paths(), extra_files=added)
    return packed, context.dockerfile


def context_digest(spec: BuildSpec) -> str:
    """Of names, modes and contents of all that `pack_context` packs; "" where it cannot be read."""
    try:
        context = _find(spec)
        digest = hashlib.sha256((context.content or "").encode())
        left = MOST_BYTES
        for path in context.paths()[:MOST_FILES]:
            mark, size = _mark(context.folder / path, left)
            left -= size
            digest.update(f"{path}\0{mark}\0".encode(errors="surrogateescape"))
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()


def _mark(path: Path, most: int) -> tuple[str, int]:
    """What tells one state of a file from another, and how many bytes were read for it."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"link {path.readlink()}", 0
    if not stat.S_ISREG(status.st_mode):
        return f"{status.st_mode:o}", 0
    if status.st_size > most:
        return f"{status.st_mode:o} {status.st_size} {status.st_mtime_ns}", 0
    with path.open("rb") as file:
        return f"{status.st_mode:o} {hashlib.file_digest(file, 'sha256').hexdigest()}", status.st_size


def _find(spec: BuildSpec) -> _Context:
    """Raises OSError, ValueError."""
    folder = Path(spec.context)
    if not folder.is_dir():
        raise NotADirectoryError(f"the build context {folder} is no directory")
    found, content = process_dockerfile(spec.dockerfile, str(folder))
    dockerfile = str(found)
    if content is None and not (folder / dockerfile).is_file():
        raise FileNotFoundError(f"there is no {dockerfile} in {folder}")
    # One from outside gets another random name each time.
    return _Context(folder, dockerfile, content, read_ignored(folder))
