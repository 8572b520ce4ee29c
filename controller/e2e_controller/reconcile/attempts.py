"""How often a job was tried, for the time in which no container tells: between two of its containers."""

from collections.abc import Iterable
from pathlib import Path

from e2e_controller.atomic_file import keep_only, replace_file
from e2e_controller.drivers.base import DriverError, Key
from e2e_controller.objects import JOB


class Attempts:
    """A small file for each job that is tried again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def note(self, key: Key, spec_hash: str, attempt: int) -> None:
        """That attempt comes next. Raises `DriverError`."""
        try:
            replace_file(self._path(key), f"{spec_hash} {attempt}\n")
        except OSError as error:
            message = f"cannot note in {self._path(key)} how often {key} was tried: {error.strerror}"
            raise DriverError(message, reason="StateFolder") from error

    def next(self, key: Key, spec_hash: str) -> int:
        """The attempt that comes next. A note that is damaged, or about another spec, is none."""
        try:
            noted_hash, attempt = self._path(key).read_text().split()
            return int(attempt) if noted_hash == spec_hash else 0
        except (OSError, ValueError):
            return 0

    def forget(self, key: Key) -> None:
        """The job is gone."""
        self._path(key).unlink(missing_ok=True)

    def sweep(self, keys: Iterable[Key]) -> None:
        """At start: removes notes of jobs that were taken away while no controller ran."""
        keep_only(self._directory, (self._path(key) for key in keys if key.kind == JOB))

    def _path(self, key: Key) -> Path:
        return self._directory / f"{key.environment}.{key.name}"
