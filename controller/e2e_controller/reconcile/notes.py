"""What is noted inside a container about what was done to it: the engine keeps it as long as the container.

Labels cannot be changed once a container is there. Notes can: which contents its live files have, and which
of its runs was ended because its manifest asked for that.
"""

import io
import json
import logging
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from e2e_controller.drivers.base import (
    Container,
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
    """Digests of live files by path, and when the run began that was ended as asked."""

    files: Mapping[str, str] = field(default_factory=dict)
    ended_run: str = ""

    def ended(self, container: Container) -> bool:
        """Whether that is the container's last run."""
        return self.ended_run != "" and self.ended_run == run_of(container)


def run_of(container: Container) -> str:
    """Names one run of a container."""
    return container.started_at.isoformat() if container.started_at else ""


def notes_file(notes: Notes) -> FileContent:
    """The notes as a file of the container."""
    text = json.dumps({"files": dict(notes.files), "endedRun": notes.ended_run}, sort_keys=True)
    return FileContent(NOTES_PATH, text.encode())


def parse_notes(data: bytes) -> Notes | None:
    """The notes in such a file; None where they make no sense."""
    try:
        found = json.loads(data)
        files = {str(path): str(digest) for path, digest in found["files"].items()}
        return Notes(files, str(found["endedRun"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Notebook:
    """Reads and writes notes; what this process wrote or read it need not read again."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._known: dict[str, Notes | None] = {}

    def knows(self, container_id: str) -> bool:
        """Whether reading the notes of that container costs nothing."""
        return container_id in self._known

    async def read(self, container_id: str) -> Notes | None:
        """The notes of a container. Raises `DriverError`."""
        if container_id not in self._known:
            self._remember(container_id, parse_notes(await self._content(container_id)))
        return self._known[container_id]

    async def write(self, container_id: str, notes: Notes) -> None:
        """Where the container takes no files this process alone knows. Raises `EngineUnavailable`."""
        try:
            known = await self.read(container_id)
            if known is not None:
                notes = replace(notes, files={**known.files, **notes.files})
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
