"""What is noted inside a container of its live files: the engine keeps it as long as the container.

Labels cannot be changed once a container is there; notes can.
"""

import io
import json
import logging
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from e2e_controller.drivers.base import (
    ContainerGone,
    Driver,
    DriverError,
    EngineUnavailable,
    FileContent,
)

NOTES_PATH = "/.e2e-notes.json"
_LONGEST = 2**20
_MOST_KNOWN = 10_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notes:
    """Digests of the contents that live files have, by path."""

    files: Mapping[str, str] = field(default_factory=dict)


def notes_file(notes: Notes) -> FileContent:
    """The notes as a file of the container."""
    text = json.dumps({"files": dict(notes.files)}, sort_keys=True)
    return FileContent(NOTES_PATH, text.encode())


def parse_notes(data: bytes) -> Notes | None:
    """The notes in such a file; None where they make no sense."""
    try:
        found = json.loads(data)
        return Notes({str(path): str(digest) for path, digest in found["files"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Notebook:
    """Reads and writes notes; what this process wrote or read it need not read again."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._known: dict[str, Notes | None] = {}

    async def read(self, container_id: str) -> Notes | None:
        """The notes of a container. Raises `DriverError`."""
        if container_id not in self._known:
            self._remember(container_id, parse_notes(await self._content(container_id)))
        return self._known[container_id]

    async def write(self, container_id: str, notes: Notes) -> None:
        """Where the container takes no files this process alone knows. Raises `EngineUnavailable`."""
        try:
            await self._driver.put_files(container_id, (notes_file(notes),))
        except EngineUnavailable:
            self._known.pop(container_id, None)
            raise
        except DriverError as error:
            log.warning("container %s takes no notes: %s", container_id[:12], error)
        self._remember(container_id, notes)

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
