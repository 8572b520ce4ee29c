"""What is noted inside a container of its live files: the engine keeps it as long as the container.

Labels cannot be changed once a container is there; notes can.
"""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from e2e_controller.drivers.base import (
    ContainerGone,
    Driver,
    DriverError,
    FileContent,
)

NOTES_PATH = "/.e2e-notes.json"
_LONGEST = 2**20
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Notes:
    """Digests of the contents that live files have, by path."""

    files: Mapping[str, str] = field(default_factory=dict)
    applied: bool = True
    """Whether what their change asks for has been done, such as a restart."""


def notes_file(notes: Notes) -> FileContent:
    """The notes as a file of the container."""
    text = json.dumps({"files": dict(notes.files), "applied": notes.applied}, sort_keys=True)
    return FileContent(NOTES_PATH, text.encode())


def parse_notes(data: bytes) -> Notes | None:
    """The notes in such a file; None where they make no sense."""
    try:
        found = json.loads(data)
        files = {str(path): str(digest) for path, digest in found["files"].items()}
        return Notes(files, found["applied"] is True)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Notebook:
    """Reads and writes notes; what this process wrote or read it need not read again."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._known: dict[str, Notes | None] = {}

    def created(self, container_id: str, files: Sequence[FileContent]) -> None:
        """The container was made with these files, the notes among them."""
        for file in files:
            if file.path == NOTES_PATH:
                self._remember(container_id, parse_notes(file.content))

    async def read(self, container_id: str) -> Notes | None:
        """The notes of a container. Raises `DriverError`."""
        if container_id not in self._known:
            self._remember(container_id, parse_notes(await self._content(container_id)))
        return self._known[container_id]

    async def write(self, container_id: str, notes: Notes, files: Sequence[FileContent] = ()) -> None:
        """Writes notes, together with the files that they are about. Raises `DriverError`."""
        self.forget(container_id)
        await self._driver.put_files(container_id, (*files, notes_file(notes)))
        if await self.read(container_id) != notes:
            message = f"the engine says that it wrote files into container {container_id[:12]}, but did not"
            raise DriverError(message)

    def forget(self, container_id: str) -> None:
        """The container is gone."""
        self._known.pop(container_id, None)

    def _remember(self, container_id: str, notes: Notes | None) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()  # they can be read again
        self._known[container_id] = notes

    async def _content(self, container_id: str) -> bytes:
        data = bytearray()
        try:
            async for piece in self._driver.copy_out(container_id, NOTES_PATH):
                data += piece
                if len(data) > _LONGEST:
                    return b""
        except ContainerGone:  # so is said of a path that is not there
            return b""
        try:
            with tarfile.open(fileobj=io.BytesIO(bytes(data))) as archive:
                file = archive.extractfile(NOTES_PATH.lstrip("/"))
                return file.read() if file is not None else b""
        except (tarfile.TarError, KeyError):
            return b""
