"""Which containers were put to rest on purpose: what no look at the engine can tell.

An exited container looks the same whether its program ended by itself or `state` asked for it. Only the
second is started again when `state` is Running, though the controller was killed in between.
"""

from e2e_controller.drivers.base import Container, Key
from e2e_controller.reconcile.key_notes import KeyNotes


class Rests(KeyNotes):
    """Notes of the run of a container that was ended on purpose."""

    def note(self, key: Key, container: Container) -> None:
        """This run ends, or has ended, because the manifest asks for it. Raises `DriverError`."""
        if not self.noted(key, container):
            self._write(key, f"{run_of(container)}\n", f"that {key} is to rest")

    def noted(self, key: Key, container: Container) -> bool:
        """Whether it is that run."""
        return self._read(key) == f"{run_of(container)}\n"


def run_of(container: Container) -> str:
    """What tells this run of it from the others."""
    return f"{container.id} {container.started_at}"
