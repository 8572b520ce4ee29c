"""Dry runs of environments: what of theirs would be made or removed beside the containers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, NameTaken
from e2e_controller.drivers.inventory import Thing, ThingKind
from e2e_controller.objects import CONTAINER_KINDS, Key, Object, environment_key
from e2e_controller.shared_folders import SharedFolders
from e2e_controller.store import Store

_WITH_IT = (ThingKind.NETWORK, ThingKind.VOLUME, ThingKind.IMAGE)
"""What goes with an environment, and in which order it is told."""


@dataclass(frozen=True, slots=True)
class EnvironmentPlanning:
    """Looks at what environments have; `leases` counts who holds one, `identity` is this controller's."""

    store: Store
    driver: Driver
    folders: SharedFolders
    directories: Directories
    identity: str
    leases: Callable[[str], int]

    def is_new(self, environment: str) -> bool:
        """Whether it would come into being with an object in it."""
        there = self.store.get(environment_key(environment))
        return there is None or there.deleting

    async def creation(self, environment: str) -> list[str]:
        """What is made where it is wanted and is not there yet, a line each."""
        lines = []
        there = self.store.get(environment_key(environment))
        if there is None or not there.status.network_id:
            try:
                network = await self.driver.inspect_network(environment)
            except NameTaken as error:
                return [f"refuse: {error}"]
            lines += [] if network else ["create network: it is not there"]
        directory = self.directories.shared(environment)
        if self.folders.available and not directory.exists():
            lines.append(f"create directory {directory}: it is not there")
        return lines

    def reason_to_stay(self, environment: str, deleted: Iterable[Key]) -> str:
        """Why the environment outlives those objects; empty where it goes with them."""
        gone = set(deleted)
        own = self.store.get(environment_key(environment))
        if own is not None and own.manifest is not None and not own.deleting and own.key not in gone:
            return "its manifest stays"
        staying = [o.key for o in self.store.select(environment) if _stays(o) and o.key not in gone]
        if staying:
            return f"{staying[0].kind} {staying[0].name} stays"
        return "a client holds it" if self.leases(environment) else ""

    async def removal(self, environment: str) -> list[str]:
        """What is removed when nobody wants it, a line each."""
        things = [
            thing for thing in await self.driver.inventory.list_things() if self._has(environment, thing)
        ]
        things.sort(key=lambda thing: (_WITH_IT.index(thing.kind), thing.name))
        lines = [f"remove {thing.kind} {thing.name}: nobody wants it" for thing in things]
        directory = self.directories.shared(environment)
        return [*lines, *([f"remove directory {directory}: nobody wants it"] if directory.exists() else [])]

    def _has(self, environment: str, thing: Thing) -> bool:
        ours = thing.owner.controller_id == self.identity and thing.environment == environment
        return ours and thing.kind in _WITH_IT


def _stays(object_: Object) -> bool:
    return object_.key.kind in CONTAINER_KINDS and object_.manifest is not None and not object_.deleting
