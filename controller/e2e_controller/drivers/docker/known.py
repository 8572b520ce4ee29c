"""What this process knows of its containers, beyond what the engine keeps for it."""

from collections.abc import Iterable

from e2e_controller.drivers.base import Key


class Known:
    """Memory that may be lost: it spares calls, and tells finished containers from half-made ones."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._ids: dict[Key, str] = {}
        self._ports: dict[str, frozenset[int]] = {}
        self._finished: set[str] = set()
        self._unkilled: set[str] = set()
        self.networks: dict[str, tuple[str, float]] = {}
        """Id of each environment's network that is ours, and when it was last seen there."""
        self.subnets: dict[str, str] = {}
        """Address range of each environment's network, as last seen."""
        self.awaited_names: dict[str, Key] = {}
        """Who would have had each name that is taken by something foreign, or its network removed, which that
        is in."""

    @property
    def ports(self) -> frozenset[int]:
        """Host ports that containers have, also while they do not run."""
        return frozenset().union(*self._ports.values())

    def rival(self, container_id: str, port: int) -> Key | None:
        """Whose other container has that host port, running or not."""
        others = (other for other, ports in self._ports.items() if port in ports and other != container_id)
        return next((self._keys[other] for other in others if other in self._keys), None)

    def key(self, container_id: str) -> Key | None:
        """Whose id that is."""
        return self._keys.get(container_id)

    def text(self, container_id: str) -> str:
        """What it is called in messages."""
        return str(self._keys.get(container_id) or container_id[:12])

    def environment(self, container_id: str) -> str:
        """In whose turn calls about it are made; empty where that is not known."""
        key = self._keys.get(container_id)
        return key.environment if key else ""

    def learn(self, container_id: str, key: Key, ports: Iterable[int] | None = None) -> None:
        """A container of ours is there; any other of the same key is gone."""
        if self._ids.get(key) != container_id:
            self.forget_key(key)
            self._ids[key] = container_id
            self._keys[container_id] = key
        if ports is not None:
            self._ports[container_id] = frozenset(ports)

    def finish(self, container_id: str) -> None:
        """This process has put all files into the container."""
        if container_id in self._keys:
            self._finished.add(container_id)

    def is_finished(self, container_id: str) -> bool:
        """Whether `finish` was called for it."""
        return container_id in self._finished

    def started(self, container_id: str) -> None:
        """This process starts it."""
        self._unkilled.add(container_id)

    def killed(self, container_id: str) -> None:
        """Somebody asks the engine to kill it."""
        self._unkilled.discard(container_id)

    def events_missed(self) -> None:
        """Any container may have been killed meanwhile."""
        self._unkilled.clear()

    def is_unkilled(self, container_id: str) -> bool:
        """Whether this process started it, and saw nobody ask the engine to kill it since."""
        return container_id in self._unkilled

    def forget(self, container_id: str) -> None:
        """The container is gone."""
        key = self._keys.pop(container_id, None)
        self._ports.pop(container_id, None)
        self._finished.discard(container_id)
        self._unkilled.discard(container_id)
        if key is not None and self._ids.get(key) == container_id:
            del self._ids[key]

    def forget_key(self, key: Key) -> None:
        """There is no container of that key."""
        if (container_id := self._ids.get(key)) is not None:
            self.forget(container_id)
