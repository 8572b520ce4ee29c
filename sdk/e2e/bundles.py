"""Evidence bundles: all that is known of an environment, as one archive.

The controller gathers and masks; this writes what it sends, by temporary file and rename.
"""

import io
import os
import tarfile
import tempfile
import time
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self

from e2e_api.errors import E2EError

VARIABLE = "E2E_BUNDLE_DIR"
"""Names the folder that gets a bundle of each environment whose test failed."""
CONTROLLER_LOG = "controller/log.txt"
_LOG_BYTES = 5 * 2**20
_IN_MEMORY = 2**20


def automatic_path(environment: str) -> Path | None:
    """Where a failure's bundle goes; None where nobody asked for any."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    moment = time.strftime("%Y%m%dT%H%M%S")
    return Path(folder).absolute() / f"{environment}-{moment}-{os.getpid()}.tar.gz"


def target_path(path: str | Path | None, environment: str) -> Path:
    """Where a bundle goes."""
    return Path(path or f"{environment}-evidence.tar.gz").absolute()


class BundleWriter:
    """Writes one archive; it is there, whole, when its block ends without an exception."""

    def __init__(self, path: Path, environment: str) -> None:
        self._path = path
        self._root = f"{environment}-evidence"
        self._current = ""

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self._path.parent)
        except OSError as error:
            raise self._failure(error) from error
        self._temporary = Path(temporary)
        self._data: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)
        self._file = os.fdopen(handle, "wb")
        self._archive = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=6)
        return self

    def add(self, path: str, piece: bytes) -> None:
        """Adds a piece of a file; the pieces of one follow each other. Raises E2EError."""
        try:
            if path != self._current:
                self._finish_file()
                self._current = path
            self._data.write(piece)
        except OSError as error:
            raise self._failure(error) from error

    def add_log(self, log: Path | None) -> None:
        """Adds the end of an embedded controller's own log, where there is one."""
        if log is None or not log.exists():
            return
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            self.add(CONTROLLER_LOG, file.read(_LOG_BYTES))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish_file()
            self._archive.close()
            self._file.close()
            if error is None:
                self._temporary.chmod(0o600)
                self._temporary.replace(self._path)
        except OSError as failure:
            raise self._failure(failure) from failure
        finally:
            self._data.close()
            self._file.close()
            self._temporary.unlink(missing_ok=True)

    def _failure(self, error: OSError) -> E2EError:
        return E2EError(f"cannot write {self._path}: {error.strerror}", reason="BundleFailed")

    def _finish_file(self) -> None:
        if not self._current:
            return
        size = self._data.seek(0, io.SEEK_END)
        self._data.seek(0)
        member = tarfile.TarInfo(f"{self._root}/{_safe(self._current)}")
        member.size, member.mode, member.mtime = size, 0o600, int(time.time())
        self._archive.addfile(member, self._data)
        self._data.seek(0)
        self._data.truncate()


def _safe(path: str) -> str:
    """The path, which must not lead out of the bundle."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..", ".")]
    return "/".join(parts) or "unnamed"
