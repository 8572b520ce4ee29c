"""What all controllers have on a fake engine."""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.fake.engine import FakeEngine
from e2e_controller.drivers.inventory import Inventory, Owner, Thing, ThingKind


class FakeInventory:
    """`drivers.inventory.Inventory` on a `FakeEngine`. `enter` is awaited at the beginning of each call."""

    def __init__(self, engine: FakeEngine, enter: Callable[[str, str], Awaitable[None]]) -> None:
        self._engine = engine
        self._enter = enter

    async def list_things(self) -> Sequence[Thing]:
        """All things of all owners."""
        await self._enter("list_things", "")
        engine = self._engine
        found = [
            *(
                (one.owner, one.view.key.environment, ThingKind.CONTAINER, one.name, one.view.id)
                for one in engine.containers.values()
            ),
            *(
                (owner, environment, ThingKind.NETWORK, f"e2e-{environment}", environment)
                for environment, (_, owner) in engine.networks.items()
            ),
            *(
                (owner, environment, ThingKind.VOLUME, f"e2e-{environment}.{name}", name)
                for (environment, name), owner in engine.volumes.items()
            ),
            *(
                (image.owner, image.environment, ThingKind.IMAGE, reference, reference)
                for reference, image in engine.images.items()
                if image.environment
            ),
        ]
        return [
            Thing(engine.owners.get(owner, Owner(owner)), environment, kind, name, identity)
            for owner, environment, kind, name, identity in found
            if owner
        ]

    async def remove_thing(self, thing: Thing) -> None:
        """Forgets it."""
        await self._enter("remove_thing", f"{thing.kind} {thing.name}")
        match thing.kind:
            case ThingKind.CONTAINER:
                self._engine.containers.pop(thing.name, None)
            case ThingKind.NETWORK:
                self._engine.networks.pop(thing.environment, None)
            case ThingKind.VOLUME:
                self._engine.volumes.pop((thing.environment, thing.id), None)
            case ThingKind.IMAGE:
                self._engine.images.pop(thing.id, None)
            case ThingKind.FOLDER:
                remove_tree(Path(thing.owner.state_dir), thing.id)


def remove_tree(state_dir: Path, path: str) -> None:
    """Really removes it, if it is below the state folder."""
    root = state_dir.resolve()
    tree = Path(path).parent.resolve() / Path(path).name
    if not tree.is_relative_to(root) or tree == root or tree.name == "..":
        raise DriverError(f"{path} is not below {root}, so it is not removed", retry=False)
    shutil.rmtree(tree, ignore_errors=True)


def _conforms(inventory: FakeInventory) -> Inventory:
    return inventory  # for the type checker
