"""What is on an engine with our labels, whoever made it: for those who look for garbage, and nobody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from e2e_controller.drivers.labels import LABEL_CONTROLLER, LABEL_HOST, LABEL_STATE_DIR


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """The controller that made something, and where it lives, so that others can tell whether it still does.

    `state_dir` and `host` are empty where they are not known.
    """

    controller_id: str
    state_dir: str = ""
    host: str = ""

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Owner":
        """The owner that labels tell."""
        return cls(
            labels.get(LABEL_CONTROLLER, ""), labels.get(LABEL_STATE_DIR, ""), labels.get(LABEL_HOST, "")
        )

    @property
    def labels(self) -> dict[str, str]:
        """The labels that tell the owner. They are no part of what a container is: not of its spec hash."""
        known = self.host and self.state_dir
        place = {LABEL_STATE_DIR: self.state_dir, LABEL_HOST: self.host} if known else {}
        return {LABEL_CONTROLLER: self.controller_id, **place}


class ThingKind(StrEnum):
    """What kind of thing; in the order in which they can be removed."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"
    IMAGE = "image"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of an owner's. `id` names it to the engine; a folder's is its path."""

    owner: Owner
    environment: str
    """Empty where it is not known."""
    kind: ThingKind
    name: str
    id: str
    created: float = 0.0
    """When, by the engine's clock, in seconds since 1970; only of containers."""


class Inventory(Protocol):
    """Everything on one engine that carries our labels."""

    async def list_things(self) -> Sequence[Thing]:
        """All containers, networks, volumes and temporary images, of all owners."""

    async def remove_thing(self, thing: Thing) -> None:
        """Removes it; nothing to do where it is gone. Raises `DriverError` with why it stays.

        A folder must be below its owner's state folder.
        """
