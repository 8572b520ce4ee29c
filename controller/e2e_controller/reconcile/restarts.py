"""How often a container was started again: no look at the engine can tell, as it is not its doing."""

import logging

from e2e_controller.drivers.base import Container, DriverError, Key
from e2e_controller.reconcile.key_notes import KeyNotes
from e2e_controller.reconcile.rests import run_of

log = logging.getLogger(__name__)


class Restarts(KeyNotes):
    """Notes of the run of a container that another one follows. One of another container is none."""

    def note(self, key: Key, container: Container, count: int) -> None:
        """This run, before which there were `count` restarts, is over, and the next comes.

        A container is rather started again and counted wrong after a crash than not started.
        """
        try:
            self._write(key, f"{run_of(container)} {count}\n", f"how often {key} was started again")
        except DriverError as error:
            log.warning("%s", error, extra={"key": str(key)})

    def count(self, key: Key, container: Container) -> int:
        """Restarts until the run that there is now."""
        run, _, count = self._read(key).strip().rpartition(" ")
        if not count.isdecimal() or run.partition(" ")[0] != container.id:
            return 0
        return int(count) + (run != run_of(container))
