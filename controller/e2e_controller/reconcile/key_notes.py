"""Small notes about objects, a file each: what no look at the engine can tell."""

from collections.abc import Iterable
from pathlib import Path

from e2e_controller.atomic_file import keep_only, replace_file
from e2e_controller.drivers.base import DriverError, Key


class KeyNotes:
    """One folder of such notes. A note that cannot be read is none."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Key, str] = {}

    def forget(self, key: Key) -> None:
        """The object is gone, or its note has come true."""
        self._known.pop(key, None)
        self._path(key).unlink(missing_ok=True)

    def sweep(self, keys: Iterable[Key]) -> None:
        """At start: removes notes of objects that were taken away while no controller ran."""
        keep_only(self._directory, (self._path(key) for key in keys))

    def _write(self, key: Key, text: str, what: str) -> None:
        """`what` says, in the error, what could not be noted. Raises `DriverError`."""
        path = self._path(key)
        try:
            replace_file(path, text)
        except OSError as error:
            message = f"cannot note in {path} {what}: {error.strerror}"
            raise DriverError(message, reason="StateFolder") from error
        self._known[key] = text

    def _read(self, key: Key) -> str:
        if key not in self._known:
            try:
                self._known[key] = self._path(key).read_text()
            except (OSError, ValueError):
                self._known[key] = ""
        return self._known[key]

    def _path(self, key: Key) -> Path:
        return self._directory / f"{key.environment}.{key.kind.lower()}.{key.name}"
