"""Looks at containers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from docker import APIClient
from docker.errors import NotFound

from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    Container,
    ContainerGone,
    ContainerPhase,
    Key,
    ListedContainer,
    NameTaken,
)
from e2e_controller.drivers.docker import containers
from e2e_controller.drivers.docker.deaths import Deaths
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.known import Known

T = TypeVar("T")

_PRESUMED_OUT_OF_MEMORY = "the engine does not say so, but it has a memory limit and nobody asked to kill it"


class _Seen(NamedTuple):
    container: Container
    is_half_made: bool
    is_limited: bool
    is_killed_at_limit: bool


class Looks:
    """At one container or all, of one controller."""

    def __init__(self, engine: Engine, known: Known, deaths: Deaths, controller_id: str) -> None:
        self._engine = engine
        self._known = known
        self._deaths = deaths
        self._controller_id = controller_id

    async def listed(self) -> Sequence[ListedContainer]:
        """All containers of ours."""
        ours = {"label": f"{LABEL_CONTROLLER}={self._controller_id}"}

        def look(client: APIClient) -> Sequence[ListedContainer]:
            found = client.containers(all=True, filters=ours)
            listed = (containers.to_listed(item, self._controller_id) for item in found)
            return [item for item in listed if item is not None]

        return await self._engine.call("list", look)

    async def inspect(self, key: Key) -> Container | None:
        """A fresh look, or news as fresh. Raises `NameTaken`."""
        return await self._deaths.first(key, self._inspect(key))

    async def _inspect(self, key: Key) -> Container | None:
        name = containers.container_name(key)
        found = await self.look(name, lambda found: self._view(key, found), key.environment)
        if found is None:
            self._known.forget_key(key)
            return None
        self._known.learn(found.container.id, key, found.container.host_ports.values())
        container = await self._reached(found.container)
        if found.is_half_made and not self._known.is_finished(container.id):
            return replace(container, spec_hash="")
        if found.is_killed_at_limit and self._known.is_unkilled(container.id):
            return replace(container, oom_killed=True, error=_PRESUMED_OUT_OF_MEMORY)
        self._deaths.saw(container, limited=found.is_limited)
        return container

    async def _reached(self, container: Container) -> Container:
        """With what of its ports can be reached from here."""
        if container.phase is not ContainerPhase.RUNNING or not self._engine.endpoint.is_ssh:
            return container
        ports = {name: port for name, port in container.host_ports.items() if name.endswith("/tcp")}
        reached = await self._engine.reach(ports.values(), self._known.ports)
        address = container.host_address if reached else ""
        return replace(container, host_ports=ports, host_address=address)

    async def describe(self, container_id: str) -> Mapping[str, Any]:
        """All that the engine says of it."""
        found = await self.look(container_id, dict, self._known.environment(container_id))
        if found is None:
            raise ContainerGone(f"inspect {self._known.text(container_id)}: no such container")
        return found

    async def look(self, name: str, view: Callable[[Mapping[str, Any]], T], environment: str) -> T | None:
        """What `view` sees in a container, by its name or id, if it is there.

        It sees within the call: what is nonsense to it is the call's error.
        """

        def look(client: APIClient) -> T | None:
            try:
                return view(client.inspect_container(name))
            except NotFound:
                return None

        return await self._engine.call("inspect", look, f"inspect {name}", environment=environment)

    def _view(self, key: Key, found: Mapping[str, Any]) -> "_Seen":
        if containers.key_of(found["Config"]["Labels"], self._controller_id) != key:
            self._known.awaited_names[containers.container_name(key)] = key
            raise name_taken(key, found)
        address = self._engine.endpoint.reached_at(containers.bound_address(found))
        container = replace(containers.to_container(key, found), host_address=address)
        return _Seen(
            container,
            containers.is_half_made(found),
            containers.has_memory_limit(found),
            containers.is_killed_at_limit(found),
        )


def name_taken(key: Key, found: Mapping[str, Any]) -> NameTaken:
    """The error for a key whose name another container has."""
    name = containers.container_name(key)
    owner = containers.owner_text(found["Config"]["Labels"])
    return NameTaken(
        f"the container name {name} is taken by {owner}",
        remedy=f"`docker rm -f {name}` if nobody needs it, or use another name",
    )
