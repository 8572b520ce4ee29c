"""Which containers were put to rest on purpose: what no look at the engine can tell.

An exited container looks the same whether its program ended by itself or `state` asked for it. Only the
second is started again when `state` is Running, though the controller was killed in between.
"""

from collections.abc import Iterable
from pathlib import Path

from e2e_controller.atomic_file import keep_only
from e2e_controller.drivers.base import Container, DriverError, Key


class Rests:
    """Notes, one small file each, of the run of a container that was ended on purpose."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Key, str] = {}

    def note(self, key: Key, container: Container) -> None:
        """This run ends, or has ended, because the manifest asks for it. Raises `DriverError`."""
        if self.noted(key, container):
            return
        path, text = self._path(key), _run(container)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            message = f"cannot note in {path} that {key} is to rest: {error.strerror}"
            raise DriverError(message, reason="StateFolder") from error
        self._known[key] = text

    def noted(self, key: Key, container: Container) -> bool:
        """Whether it is that run. A note that is damaged is none."""
        if key not in self._known:
            try:
                self._known[key] = self._path(key).read_text()
            except (OSError, ValueError):
                self._known[key] = ""
        return self._known[key] == _run(container)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._known.pop(key, None)
        self._path(key).unlink(missing_ok=True)

    def sweep(self, keys: Iterable[Key]) -> None:
        """At start: removes notes of objects that were taken away while no controller ran."""
        keep_only(self._directory, (self._path(key) for key in keys))

    def _path(self, key: Key) -> Path:
        return self._directory / f"{key.environment}.{key.kind.lower()}.{key.name}"


def _run(container: Container) -> str:
    return f"{container.id} {container.started_at}\n"
