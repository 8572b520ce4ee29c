"""How far a job is, for the time in which no container tells: between two of them, and after the last."""

import logging

from e2e_api.conditions import ConditionType
from e2e_controller.drivers.base import Container, DriverError, Key
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.key_notes import KeyNotes
from e2e_controller.reconcile.plan import is_over
from e2e_controller.reconcile.steps import JobEnd

log = logging.getLogger(__name__)


class Attempts(KeyNotes):
    """Notes of jobs that are tried again, or have ended. One that is damaged, or of another spec, is none."""

    def note(self, key: Key, spec_hash: str, attempt: int) -> None:
        """That attempt comes next. Raises `DriverError`."""
        self._write(key, f"{spec_hash} {attempt}\n", f"how often {key} was tried")

    def next(self, key: Key, spec_hash: str) -> int:
        """The attempt that comes next."""
        try:
            noted_hash, attempt = self._read(key).split()
            return int(attempt) if noted_hash == spec_hash else 0
        except ValueError:
            return 0

    def note_end(self, key: Key, desired: Desired, container: Container | None, status: ObjectStatus) -> None:
        """Where it is over: it stays so, though its container be removed and a controller started."""
        running = status.condition(ConditionType.RUNNING)
        if container is None or running is None or not is_over(desired, status):
            return
        words = f"{desired.spec_hash} {container.attempt} {running.reason} {running.message}".split()
        text = " ".join(words) + "\n"
        try:
            if self._read(key) != text:
                self._write(key, text, f"how {key} ended")
        except DriverError as error:
            log.warning("%s", error, extra={"key": str(key)})

    def end(self, key: Key, spec_hash: str) -> JobEnd | None:
        """How it ended; None where it did not, as far as is known."""
        try:
            noted_hash, attempt, reason, message = self._read(key).rstrip().split(maxsplit=3)
            return JobEnd(reason, message, int(attempt)) if noted_hash == spec_hash else None
        except ValueError:
            return None
