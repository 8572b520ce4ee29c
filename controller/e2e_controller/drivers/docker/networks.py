"""An environment's network and named volumes."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    LABEL_NAME,
    ContainerGone,
    DriverError,
    Mount,
    NameTaken,
)
from e2e_controller.drivers.docker.containers import network_name, owner_text, volume_name
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.flight import SingleFlight

_TRIES = 32
_OVERLAPS = ("Pool overlaps", "networks have overlapping")

Subnet = ipaddress.IPv4Network


class Networks:
    """Makes and removes what an environment has besides containers."""

    def __init__(self, engine: Engine, controller_id: str, address_pool: str, subnet_prefix: int) -> None:
        self._engine = engine
        self._controller_id = controller_id
        self._pool = Subnet(address_pool)
        self._prefix = subnet_prefix
        self._making: SingleFlight[str, str] = SingleFlight()
        self._reserved: set[Subnet] = set()
        """Subnets of networks that are just being made here."""
        if subnet_prefix < self._pool.prefixlen:
            raise ValueError(f"subnets of /{subnet_prefix} do not fit into {address_pool}")

    async def inspect(self, environment: str) -> str | None:
        """The network's id, if it is there. Raises `NameTaken`."""
        network = await self._look(environment)
        if network is None:
            return None
        if not self._is_ours(network["Labels"]):
            raise NameTaken(
                f"the network {network_name(environment)} belongs to {owner_text(network['Labels'])}",
                remedy="remove it, or rename the environment",
            )
        return str(network["Id"])

    async def ensure(self, environment: str) -> str:
        """The network's id; it is made if need be."""
        return await self._making.run(environment, lambda: self._ensure(environment))

    async def environments(self) -> Sequence[str]:
        """Environments that have a network or a volume of ours."""
        ours = {"label": f"{LABEL_CONTROLLER}={self._controller_id}"}

        def look(client: APIClient) -> set[str]:
            found = client.networks(filters=ours) + (client.volumes(filters=ours)["Volumes"] or [])
            return {(item["Labels"] or {}).get(LABEL_ENVIRONMENT, "") for item in found}

        return sorted(await self._engine.call("list environments", look) - {""})

    async def ensure_volumes(self, environment: str, mounts: Iterable[Mount]) -> None:
        """Makes the named volumes that are not there yet. Raises `NameTaken`."""
        for name in dict.fromkeys(mount.source for mount in mounts if not mount.is_host_path):
            await self._ensure_volume(environment, name)

    async def remove_environment(self, environment: str) -> None:
        """Removes network and volumes; what is not there, or not ours, is left."""
        network = await self._look(environment)
        if network is not None and self._is_ours(network["Labels"]):
            await self._remove_network(network)
        ours = [
            f"{LABEL_CONTROLLER}={self._controller_id}",
            f"{LABEL_ENVIRONMENT}={environment}",
        ]
        found = await self._engine.call(
            "list volumes", lambda client: client.volumes(filters={"label": ours})
        )
        for volume in found["Volumes"] or []:
            await self._engine.call("remove volume", _tolerant(_volume_remover(volume["Name"])))

    async def _look(self, environment: str) -> Mapping[str, Any] | None:
        def look(client: APIClient) -> Mapping[str, Any] | None:
            try:
                found: Mapping[str, Any] = client.inspect_network(network_name(environment))
            except NotFound:
                return None
            return found

        return await self._engine.call("inspect network", look)

    def _is_ours(self, labels: Mapping[str, str] | None) -> bool:
        return (labels or {}).get(LABEL_CONTROLLER) == self._controller_id

    async def _ensure(self, environment: str) -> str:
        if (found := await self.inspect(environment)) is not None:
            return found
        refused: set[Subnet] = set()
        for _ in range(_TRIES):
            subnet = await self._free_subnet(refused)
            self._reserved.add(subnet)
            try:
                return await self._create(environment, subnet)
            except DriverError as error:
                if any(text in str(error) for text in _OVERLAPS):
                    refused.add(subnet)
                elif "already exists" in str(error):
                    if (found := await self.inspect(environment)) is not None:
                        return found
                else:
                    raise
            finally:
                self._reserved.discard(subnet)
        raise DriverError(
            f"no subnet for the network of {environment}: {len(refused)} tried, others took them meanwhile",
            remedy="set another address pool",
        )

    async def _free_subnet(self, refused: set[Subnet]) -> Subnet:
        networks = await self._engine.call("list networks", lambda client: client.networks())
        taken = [*subnets_of(networks), *self._reserved, *refused]
        for subnet in self._pool.subnets(new_prefix=self._prefix):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
        raise DriverError(
            f"the address pool {self._pool} has no free /{self._prefix} subnet left",
            remedy="delete environments that are not needed, or set a larger address pool",
        )

    async def _create(self, environment: str, subnet: Subnet) -> str:
        name = network_name(environment)
        labels = {LABEL_CONTROLLER: self._controller_id, LABEL_ENVIRONMENT: environment}
        made = await self._engine.call(
            "create network",
            lambda client: client.create_network(
                name,
                driver="bridge",
                check_duplicate=True,
                labels=labels,
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
            ),
            f"create network {name}",
        )
        return str(made["Id"])

    async def _ensure_volume(self, environment: str, name: str) -> None:
        full = volume_name(environment, name)
        labels = {LABEL_CONTROLLER: self._controller_id, LABEL_ENVIRONMENT: environment, LABEL_NAME: name}
        volume = await self._engine.call(
            "create volume", lambda client: client.create_volume(full, labels=labels), f"create volume {full}"
        )
        if not self._is_ours(volume["Labels"]):
            raise NameTaken(
                f"the volume {full} belongs to {owner_text(volume['Labels'])}",
                remedy="remove it, or rename the volume",
            )

    async def _remove_network(self, network: Mapping[str, Any]) -> None:
        """A container that was taken into the network by hand, or one that is just ending, may hold it."""
        remove = _tolerant(lambda client: client.remove_network(network["Id"]))
        try:
            await self._engine.call("remove network", remove)
        except DriverError as error:
            if "active endpoints" not in str(error):
                raise
            await self._disconnect_ours(network)
            await self._engine.call("remove network", remove)

    async def _disconnect_ours(self, network: Mapping[str, Any]) -> None:
        fresh = await self._engine.call(
            "inspect network", lambda client: client.inspect_network(network["Id"])
        )
        for container_id, endpoint in (fresh["Containers"] or {}).items():
            if not await self._may_disconnect(container_id):
                raise DriverError(
                    f"the network {network['Name']} is in use by the container {endpoint['Name']}, "
                    "which is not ours",
                    remedy=f"`docker network disconnect {network['Name']} {endpoint['Name']}`",
                )
            name = endpoint["Name"] or container_id
            await self._engine.call(
                "disconnect",
                _tolerant(
                    lambda client, name=name: client.disconnect_container_from_network(
                        name, network["Id"], force=True
                    )
                ),
            )

    async def _may_disconnect(self, container_id: str) -> bool:
        """Containers of ours, and what is left of those that are gone."""
        try:
            found = await self._engine.call("inspect", lambda client: client.inspect_container(container_id))
        except ContainerGone:
            return True
        return self._is_ours(found["Config"]["Labels"])


def subnets_of(networks: Iterable[Mapping[str, Any]]) -> Iterator[Subnet]:
    """IPv4 subnets that the engine's networks have."""
    for network in networks:
        for config in (network.get("IPAM") or {}).get("Config") or []:
            try:
                yield Subnet(config.get("Subnet", ""), strict=False)
            except ValueError:
                continue  # IPv6, or none


def _volume_remover(name: str) -> Callable[[APIClient], None]:
    return lambda client: client.remove_volume(name)


def _tolerant(call: Callable[..., None]) -> Callable[[APIClient], None]:
    """The call, for which it is no error that the thing is gone."""

    def tolerant(client: APIClient) -> None:
        try:
            call(client)
        except NotFound:
            return

    return tolerant
