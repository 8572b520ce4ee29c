"""An environment's network."""

import logging
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    ContainerGone,
    DriverError,
    Key,
    NameTaken,
)
from e2e_controller.drivers.docker.containers import network_name, owner_text
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.events import ENVIRONMENT_KIND
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.members import Members, Network, Subnet, subnets_of, tolerant
from e2e_controller.drivers.inventory import Owner
from e2e_controller.flight import SingleFlight

_FRESH = 2.0
"""Seconds."""
_TRIES = 32
_IN_USE = re.compile("has active endpoints|has associated containers")
_LOG = logging.getLogger(__name__)
_OVERLAPS = ("Pool overlaps", "networks have overlapping", "is already used on the host")


class Networks:
    """Makes and removes networks of environments."""

    def __init__(
        self, engine: Engine, known: Known, owner: Owner, address_pool: str, subnet_prefix: int
    ) -> None:
        self._engine = engine
        self._known = known
        self._members = Members(engine, owner.controller_id)
        self._owner = owner
        self._controller_id = owner.controller_id
        self._pool = Subnet(address_pool)
        self._prefix = subnet_prefix
        self._making: SingleFlight[str, str] = SingleFlight()
        self._reserved: set[Subnet] = set()
        """Subnets of networks that are just being made here."""
        self._stuck: dict[str, Network] = {}
        """Empty networks, by id, that the engine does not remove before it is restarted; see `_retire`."""
        if subnet_prefix < self._pool.prefixlen:
            raise ValueError(f"subnets of /{subnet_prefix} do not fit into {address_pool}")

    async def inspect(self, environment: str) -> str | None:
        """The network's id, if it is there. Raises `NameTaken`."""
        network = await self._look_for(environment)
        if network is None or network.id in self._stuck:
            self._known.networks.pop(environment, None)
            return None
        if not self._members.is_ours(network.labels):
            self._known.awaited_names[network.name] = Key(environment, ENVIRONMENT_KIND, environment)
            raise NameTaken(
                f"the network {network.name} belongs to {owner_text(network.labels)}",
                remedy="remove it, or rename the environment",
            )
        self._known.networks[environment] = network.id, time.monotonic()
        self._known.subnets[environment] = network.subnet
        return network.id

    async def ensure(self, environment: str) -> str:
        """The network's id; it is made if need be.

        One that was just seen is not asked for again. That is more than thrift: engines before 20.10.27 may
        lock up when networks are looked at while containers start and end (moby issue 46661).
        """
        network_id, seen = self._known.networks.get(environment, ("", -math.inf))
        if time.monotonic() - seen < _FRESH:
            return network_id
        return await self._making.run(environment, lambda: self._ensure(environment))

    async def known_id(self, environment: str) -> str:
        """The network's id, without a look where it is known. Raises `ContainerGone` where there is none."""
        known, _ = self._known.networks.get(environment, ("", 0.0))
        if not known and (known := await self.inspect(environment) or "") == "":
            raise ContainerGone(f"environment {environment} has no network")
        return known

    async def environments(self) -> dict[str, str]:
        """The network's id of each environment that has one of ours."""
        ours = {"label": f"{LABEL_CONTROLLER}={self._controller_id}"}

        def look(client: APIClient) -> dict[str, Mapping[str, Any]]:
            found = [it for it in client.networks(filters=ours) if self._identity(it) not in self._stuck]
            named = {(item["Labels"] or {}).get(LABEL_ENVIRONMENT, ""): item for item in found}
            return {name: item for name, item in named.items() if name}

        found = await self._engine.call("list networks", look)
        self._known.subnets |= {name: next(map(str, subnets_of([it])), "") for name, it in found.items()}
        return {name: self._identity(item) for name, item in found.items()}

    def subnet(self, environment: str) -> str:
        """The network's address range, as last seen."""
        return self._known.subnets.get(environment, "")

    async def remove(self, environment: str) -> None:
        """Removes the environment's network; one that is not there, or not ours, is left."""
        self._known.subnets.pop(environment, None)
        self._known.networks.pop(environment, None)
        network = await self._look_for(environment)
        if network is not None and self._members.is_ours(network.labels):
            await self._remove_network(network)
        for stuck in tuple(self._stuck.values()):
            if network is None or stuck.id != network.id:
                await self._remove_network(stuck)

    async def remove_by_id(self, network_id: str) -> bool:
        """Removes one; False where it is empty, and yet the engine keeps it."""
        network = await self._look(network_id)
        if network is not None:
            await self._remove_network(network)
        return network_id not in self._stuck

    async def keep_one(self, environment: str) -> None:
        """Removes all but one of several networks of ours with the environment's name, and knows the one.

        The engine makes a second one, where it was asked for the first by a call that broke off, and has not
        made it yet.
        """
        name = network_name(environment)

        def look(client: APIClient) -> list[Mapping[str, Any]]:
            listed = client.networks(names=[name])
            return [item for item in listed if item["Name"] == name and self._members.is_ours(item["Labels"])]

        found = await self._engine.call("list networks", look, environment=environment)
        known, _ = self._known.networks.get(environment, ("", 0.0))
        for item in sorted(found, key=lambda item: (self._identity(item) != known, item["Created"]))[1:]:
            await self._remove_network(Network.of(item, self._identity(item)))

    async def _look_for(self, environment: str) -> Network | None:
        """The network with the environment's name."""
        try:
            return await self._look(network_name(environment), environment)
        except NameTaken:  # by several
            await self.keep_one(environment)
            return await self._look(network_name(environment), environment)

    async def _look(self, name: str, environment: str = "") -> Network | None:
        def look(client: APIClient) -> Network | None:
            try:
                found = client.inspect_network(name)
                return Network.of(found, self._identity(found))
            except NotFound:
                return None

        return await self._engine.call("inspect network", look, environment=environment)

    def _identity(self, found: Mapping[str, Any]) -> str:
        """What containers know it by: for Podman its name, of which there is one."""
        return str(found["Name" if self._engine.is_podman else "Id"])

    async def _ensure(self, environment: str) -> str:
        network = await self._look_for(environment)
        if network is not None:
            self._stuck.pop(network.id, None)
        if (found := await self.inspect(environment)) is not None:
            return found
        refused: set[Subnet] = set()
        for _ in range(_TRIES):
            subnet = await self._free_subnet(environment, refused)
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

    async def _free_subnet(self, environment: str, refused: set[Subnet]) -> Subnet:
        used = await self._engine.call(
            "list networks",
            lambda client: list(subnets_of(client.networks())),
            environment=environment,
        )
        taken = [*used, *self._reserved, *refused]
        for subnet in self._pool.subnets(new_prefix=self._prefix):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
        raise DriverError(
            f"the address pool {self._pool} has no free /{self._prefix} subnet left",
            remedy="delete environments that are not needed, or set a larger address pool",
        )

    async def _create(self, environment: str, subnet: Subnet) -> str:
        name = network_name(environment)
        labels = {**self._owner.labels, LABEL_ENVIRONMENT: environment}
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])

        def create(client: APIClient) -> str:
            made = client.create_network(
                name, driver="bridge", check_duplicate=True, labels=labels, ipam=ipam
            )
            return name if self._engine.is_podman else str(made["Id"])

        what = f"create network {name}"
        made = await self._engine.call("create network", create, what, environment=environment)
        self._known.networks[environment] = made, time.monotonic()
        self._known.subnets[environment] = str(subnet)
        return made

    async def _remove_network(self, network: Network) -> None:
        """A container that was taken into the network by hand, or one that is just ending, may hold it."""
        await self._members.dismiss_guests(network)
        try:
            await self._try_to_remove(network)
        except DriverError as error:
            if not _IN_USE.search(str(error)):
                raise
        else:
            self._stuck.pop(network.id, None)
            return
        try:
            await self._members.disconnect_ours(network)
        except DriverError:  # it goes as soon as the stranger does
            environment = network.environment
            self._known.awaited_names[network.name] = Key(environment, ENVIRONMENT_KIND, environment)
            raise
        try:
            await self._try_to_remove(network)
        except DriverError as error:
            if not _IN_USE.search(str(error)) or await self._members.of(network):
                raise
            self._retire(network)

    async def _try_to_remove(self, network: Network) -> None:
        remove = tolerant(lambda client: client.remove_network(network.id))
        what = f"remove network {network.name}"
        await self._engine.call("remove network", remove, what, environment=network.environment)

    def _retire(self, network: Network) -> None:
        """Takes a network for removed that only the engine believes to be in use.

        Where many containers end at once, the engine may lose count of a network's endpoints (moby issue
        42119); the network then stays until the engine is restarted, empty and harmless. It is used again if
        its environment comes back, and its removal is tried again with each other one.
        """
        if network.id not in self._stuck:
            self._stuck[network.id] = network
            _LOG.warning(
                "network %s is empty, but the engine does not remove it: it lost count of its endpoints, "
                "and will find them when it is restarted",
                network.name,
            )
