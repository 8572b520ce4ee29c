"""What all controllers have on one engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    LABEL_KIND,
    DriverError,
)
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.networks import Networks
from e2e_controller.drivers.docker.temporary import environment_of_image, remove_image
from e2e_controller.drivers.docker.trees import Trees
from e2e_controller.drivers.inventory import Inventory, Owner, Thing, ThingKind

_ALL_OURS = {"label": LABEL_CONTROLLER}
_NO_POOL = ("10.0.0.0/8", 24)
"""It makes no networks."""
_UNDER_WAY = "already in progress"
_SHORT_ID = 19
"""Characters of an image's id that name it to a person: `sha256:` and twelve."""


class DockerInventory:
    """Implements `drivers.inventory.Inventory`, where each method is described."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list_things(self) -> Sequence[Thing]:
        """All things with our labels."""
        return await self._engine.call("list all", _list, "list what e2e made")

    async def remove_thing(self, thing: Thing) -> None:
        """Removes one."""
        match thing.kind:
            case ThingKind.CONTAINER:
                await self._remove(thing, lambda c: c.remove_container(thing.id, v=True, force=True))
            case ThingKind.NETWORK:
                await self._remove_network(thing)
            case ThingKind.VOLUME:
                await self._remove(thing, lambda client: client.remove_volume(thing.id))
            case ThingKind.IMAGE:
                await self._remove(thing, lambda client: _remove_image(client, thing.id))
            case ThingKind.FOLDER:
                await Trees(self._engine, thing.owner, Path(thing.owner.state_dir)).remove(thing.id)

    async def _remove(self, thing: Thing, call: Callable[[APIClient], object]) -> None:
        def remove(client: APIClient) -> None:
            try:
                call(client)
            except NotFound:
                return
            except APIError as error:
                if _UNDER_WAY not in str(error.explanation):
                    raise

        await self._engine.call(f"remove {thing.kind}", remove, f"remove {thing.kind} {thing.name}")

    async def _remove_network(self, thing: Thing) -> None:
        """As its owner would, which knows what may hold a network."""
        if not await Networks(self._engine, Known(), thing.owner, *_NO_POOL).remove_by_id(thing.id):
            raise DriverError(
                f"the engine takes the empty network {thing.name} for one in use", remedy="restart the engine"
            )


def _list(client: APIClient) -> list[Thing]:
    return [
        *_containers(client.containers(all=True, filters=_ALL_OURS)),
        *_networks(client.networks(filters=_ALL_OURS)),
        *_volumes(client.volumes(filters=_ALL_OURS)["Volumes"] or []),
        *_images(client.images(filters=_ALL_OURS)),
    ]


def _containers(found: Iterable[Mapping[str, Any]]) -> Iterable[Thing]:
    """Only those with a kind: a container that somebody made of an image of ours has inherited the others."""
    for item in found:
        if LABEL_KIND in _labels(item):
            names = item["Names"] or [f"/{item['Id']}"]
            yield _thing(item, ThingKind.CONTAINER, names[0].removeprefix("/"), item["Id"])


def _networks(found: Iterable[Mapping[str, Any]]) -> Iterable[Thing]:
    return (_thing(item, ThingKind.NETWORK, item["Name"], item["Id"]) for item in found)


def _volumes(found: Iterable[Mapping[str, Any]]) -> Iterable[Thing]:
    return (_thing(item, ThingKind.VOLUME, item["Name"], item["Name"]) for item in found)


def _images(found: Iterable[Mapping[str, Any]]) -> Iterable[Thing]:
    for item in found:
        environment = environment_of_image(item)
        if environment:
            name = next(iter(item.get("RepoTags") or ()), item["Id"][:_SHORT_ID])
            yield Thing(Owner.of(_labels(item)), environment, ThingKind.IMAGE, name, item["Id"])


def _thing(item: Mapping[str, Any], kind: ThingKind, name: str, identity: str) -> Thing:
    labels = _labels(item)
    created = float(item["Created"]) if kind is ThingKind.CONTAINER else 0.0
    return Thing(Owner.of(labels), labels.get(LABEL_ENVIRONMENT, ""), kind, name, identity, created)


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return item.get("Labels") or {}


def _remove_image(client: APIClient, image_id: str) -> None:
    """Looks again: its tags may have changed since it was listed."""
    found = [image for image in client.images(filters=_ALL_OURS) if image["Id"] == image_id]
    for image in found:
        remove_image(client, image)


def _conforms(inventory: DockerInventory) -> Inventory:
    return inventory  # for the type checker
