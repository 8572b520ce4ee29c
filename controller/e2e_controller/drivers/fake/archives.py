"""Tar streams in and out of the fake's files."""

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, tuple[bytes, int]]


def directories(files: Files) -> set[str]:
    """Directories that are there: those with files, and the usual ones."""
    found = {"/", "/tmp", "/etc"}  # noqa: S108 - no path of this machine  # nosec B108
    for path in files:
        while (path := posixpath.dirname(path)) not in found:
            found.add(path)
    return found


def unpack(directory: str, data: bytes) -> dict[str, tuple[bytes, int]]:
    """The files of a tar, below a directory. Raises `tarfile.TarError`."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content is not None:
                path = posixpath.normpath(posixpath.join(directory, member.name))
                found[path] = content.read(), member.mode
    return found


def pack(files: Files, path: str) -> bytes | None:
    """A tar of a file or a directory, named by its last part; None where there is no such path."""
    path = posixpath.normpath(path)
    below = path.rstrip("/") + "/"
    chosen = {name: files[name] for name in sorted(files) if name == path or name.startswith(below)}
    if not chosen and path not in directories(files):
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in chosen.items():
            member = tarfile.TarInfo(posixpath.basename(path) + name.removeprefix(path))
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def digest_of(folder: Path) -> str:
    """Of names and contents of all files in a folder on disk; "" where there are none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = [(str(path.relative_to(folder)), path.read_bytes()) for path in files]
    return hashlib.sha256(repr(found).encode()).hexdigest() if found else ""
