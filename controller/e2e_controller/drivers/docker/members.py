"""What is in an environment's network: containers of ours, and guests."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docker import APIClient
from docker.errors import NotFound

from e2e_controller.drivers.base import LABEL_CONTROLLER, LABEL_ENVIRONMENT, DriverError
from e2e_controller.drivers.docker.engine import Engine

GUEST_ALIAS = "e2e-guest"
"""The name in an environment's network of each container in it that is not ours, and was taken in by us."""

Subnet = ipaddress.IPv4Network


@dataclass(frozen=True, slots=True)
class Network:
    """One, as the engine last told of it."""

    id: str
    name: str
    labels: Mapping[str, str]
    containers: Mapping[str, str]
    """Name of each container (or of the endpoint that is left of one) by id."""
    subnet: str

    @property
    def environment(self) -> str:
        """The environment that it is of; empty for one that is not ours."""
        return self.labels.get(LABEL_ENVIRONMENT, "")

    @classmethod
    def of(cls, found: Mapping[str, Any], identity: str) -> "Network":
        """From the engine's description."""
        members = (found["Containers"] or {}).items()
        names = {member_id: str(member["Name"] or member_id) for member_id, member in members}
        subnet = next(map(str, subnets_of([found])), "")
        return cls(identity, str(found["Name"]), found["Labels"] or {}, names, subnet)


class Members:
    """Looks at them, and takes them out."""

    def __init__(self, engine: Engine, controller_id: str) -> None:
        self._engine = engine
        self._controller_id = controller_id

    def is_ours(self, labels: Mapping[str, str] | None) -> bool:
        """Whether labels say that something is this controller's."""
        return (labels or {}).get(LABEL_CONTROLLER) == self._controller_id

    async def of(self, network: Network) -> Mapping[str, str]:
        """What is in the network now: names by container id."""

        def look(client: APIClient) -> Mapping[str, str]:
            try:
                return Network.of(client.inspect_network(network.id), network.id).containers
            except NotFound:
                return {}

        return await self._engine.call("inspect network", look, environment=network.environment)

    async def dismiss_guests(self, network: Network) -> None:
        """Takes out who was taken in.

        Also those that do not run: else they could not be started again, once the network is gone.
        """

        def find(client: APIClient) -> list[str]:
            listed = client.containers(all=True, filters={"network": network.id})
            foreign = [item["Id"] for item in listed if not self.is_ours(item["Labels"])]
            return [container_id for container_id in foreign if is_guest(client, container_id, network.id)]

        for guest in await self._engine.call("list", find, environment=network.environment):
            disconnect = tolerant(_disconnecter(guest, network.id))
            await self._engine.call("disconnect", disconnect, environment=network.environment)

    async def disconnect_ours(self, network: Network) -> None:
        """Takes out containers of ours. Raises `DriverError` for one that is not."""
        for container_id, name in (await self.of(network)).items():
            if not await self._may_disconnect(container_id, network.environment):
                raise DriverError(
                    f"the network {network.name} is in use by the container {name}, which is not ours",
                    remedy=f"`docker network disconnect {network.name} {name}`",
                )
            disconnect = tolerant(_disconnecter(name, network.id))
            await self._engine.call("disconnect", disconnect, environment=network.environment)

    async def _may_disconnect(self, container_id: str, environment: str) -> bool:
        """Containers of ours, and what is left of those that are gone."""

        def look(client: APIClient) -> bool:
            try:
                return self.is_ours(client.inspect_container(container_id)["Config"]["Labels"])
            except NotFound:
                return True

        return await self._engine.call("inspect", look, environment=environment)


def subnets_of(networks: Iterable[Mapping[str, Any]]) -> Iterator[Subnet]:
    """IPv4 subnets that the engine's networks have."""
    for network in networks:
        for config in (network.get("IPAM") or {}).get("Config") or []:
            try:
                yield Subnet(config.get("Subnet", ""), strict=False)
            except ValueError:
                continue  # IPv6, or none


def is_guest(client: APIClient, container_id: str, network_id: str) -> bool:
    """Whether a container is in the network because we have taken it in."""
    try:
        networks = client.inspect_container(container_id)["NetworkSettings"]["Networks"] or {}
    except NotFound:
        return False
    return any(
        it["NetworkID"] == network_id and GUEST_ALIAS in (it.get("Aliases") or ()) for it in networks.values()
    )


def _disconnecter(container: str, network: str) -> Callable[[APIClient], None]:
    return lambda client: client.disconnect_container_from_network(container, network, force=True)


def tolerant(call: Callable[..., None]) -> Callable[[APIClient], None]:
    """The call, for which it is no error that the thing is gone."""

    def tolerant(client: APIClient) -> None:
        try:
            call(client)
        except NotFound:
            return

    return tolerant
