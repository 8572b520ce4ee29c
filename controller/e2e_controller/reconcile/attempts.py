"""How often a job was tried, for the time in which no container tells: between two of its containers."""

from e2e_controller.drivers.base import Key
from e2e_controller.reconcile.key_notes import KeyNotes


class Attempts(KeyNotes):
    """Notes of jobs that are tried again."""

    def note(self, key: Key, spec_hash: str, attempt: int) -> None:
        """That attempt comes next. Raises `DriverError`."""
        self._write(key, f"{spec_hash} {attempt}\n", f"how often {key} was tried")

    def next(self, key: Key, spec_hash: str) -> int:
        """The attempt that comes next. A note that is damaged, or about another spec, is none."""
        try:
            noted_hash, attempt = self._read(key).split()
            return int(attempt) if noted_hash == spec_hash else 0
        except ValueError:
            return 0
