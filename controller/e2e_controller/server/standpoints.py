"""Where a caller is, and what it can reach from there: on the engine's host, or in a container beside it."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from e2e_api.addresses import host_and_port
from e2e_api.callers import CALLER_HEADER, CallerPlace, read_caller
from e2e_api.errors import E2EError, InvalidArgument
from e2e_api.v1 import object_pb2
from e2e_controller.drivers.base import Driver, DriverError, EngineInfo, Guest
from e2e_controller.guests import Guests
from e2e_controller.objects import Object
from e2e_controller.server.convert import object_to_proto
from e2e_controller.veil import Veil

REMEDY = (
    "run the caller in a container of that engine, in a network that both share, or on the engine's host, or "
    "with `--network host`"
)


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Where a caller is. `guest` is its container, None where it is in none of the engine.

    `problem` is why it reaches no workload.
    """

    guests: Guests
    guest: Guest | None = None
    problem: str = ""
    veil: Veil = field(default_factory=Veil)
    """What hides secrets."""

    async def told(self, object_: Object, *, join: bool = True) -> object_pb2.Object:
        """The object as a message, with the addresses that the caller reaches.

        `join`: whether its container is taken into the environment's network, if it is not there yet.
        """
        message = object_to_proto(object_, self.veil.mask(object_.key.environment))
        running = [endpoint for endpoint in message.status.endpoints if endpoint.external]
        if not running or (self._joins == "" and not self.problem):
            return message
        problem = self.problem or await self._outside(object_.key.environment, join=join)
        for endpoint in running:
            endpoint.problem = problem
            endpoint.external = "" if problem else _own_address(object_, endpoint)
        return message

    @asynccontextmanager
    async def holding(self, environment: str) -> AsyncIterator[None]:
        """Has the caller's container in the environment's network until the context ends."""
        if not self._joins:
            yield
            return
        async with self.guests.holding(environment, self._joins):
            yield

    @property
    def _joins(self) -> str:
        """The container that is taken into networks for the caller; "" for one on the host's network."""
        return self.guest.network_of if self.guest and not self.guest.on_host_network else ""

    async def _outside(self, environment: str, *, join: bool) -> str:
        """Why the caller's container is not in the environment's network; "" where it is."""
        container = self._joins
        if not join and not self.guests.is_inside(environment, container):
            return f"this container is not in the network of {environment}: ask for it alone"
        try:
            await self.guests.admit(environment, container)
        except DriverError as error:
            return str(error)
        return ""


def _own_address(object_: Object, endpoint: object_pb2.Endpoint) -> str:
    container = object_.status.container
    address = container.address if container else ""
    return host_and_port(address, endpoint.internal.rpartition(":")[2]) if address else ""


class Standpoints:
    """Finds out where callers are."""

    def __init__(self, driver: Driver, info: EngineInfo, guests: Guests) -> None:
        self._driver = driver
        self._info = info
        self._guests = guests

    async def of(self, context: Any) -> Standpoint:
        """Of who made a call; whoever says nothing is on the host.

        A container's word is taken over the Unix socket, which only this user can open; over TCP its address
        has to be that of the connection. Raises `InvalidArgument`.
        """
        try:
            place = read_caller(_header(context))
        except ValueError as error:
            raise InvalidArgument(f"metadata {CALLER_HEADER}: {error}", reason="BadCaller") from error
        if not place.in_container:
            return Standpoint(self._guests)
        return await self._in_container(place, peer_address(context.peer()))

    async def _in_container(self, place: CallerPlace, peer: str) -> Standpoint:
        try:
            guest = await self._driver.find_guest(place.ids, peer)
            addresses = await self._addresses(guest) if guest else frozenset()
        except DriverError as error:  # what it asks for may need no address
            return Standpoint(self._guests, problem=str(error))
        if guest is None:
            return self._stranger(place, peer)
        if not (guest.on_host_network or peer in ("", *addresses) or self._is_inside_own(guest, peer)):
            raise _not_proven(guest, peer)
        return Standpoint(self._guests, guest)

    async def _addresses(self, guest: Guest) -> frozenset[str]:
        """Also of one that shares another container's network."""
        if guest.network_of == guest.id:
            return guest.addresses
        holder = await self._driver.find_guest([guest.network_of])
        return holder.addresses if holder else frozenset()

    def _is_inside_own(self, guest: Guest, peer: str) -> bool:
        """Whether it shares this process' network, where all connections over loopback come from."""
        own = self._info.own
        shares = own is not None and guest.network_of == own.network_of
        return shares and ipaddress.ip_address(peer).is_loopback

    def _stranger(self, place: CallerPlace, peer: str) -> Standpoint:
        """One in a container that the engine does not know."""
        own = self._info.own
        near = not peer or ipaddress.ip_address(peer).is_loopback
        if near and own is None:
            return Standpoint(self._guests)  # in the same container as the engine itself, or as this process
        if not place.ids and (near or (own is not None and peer in own.gateways)):
            return Standpoint(self._guests)  # a machine that was made of a container's files
        name = place.ids[0][:12] if place.ids else f"at {peer}"
        problem = (
            f"the caller's container {name} is none of the engine {self._info.name} that runs the workloads, "
            f"so it reaches neither their network nor the ports of its host; {REMEDY}"
        )
        return Standpoint(self._guests, problem=problem)


def _not_proven(guest: Guest, peer: str) -> E2EError:
    return InvalidArgument(
        f"metadata {CALLER_HEADER}: the call comes from {peer}, which is no address of container "
        f"{guest.name}: connect from that container, or by the controller's Unix socket",
        reason="CallerNotProven",
    )


def peer_address(peer: str) -> str:
    """The address in what gRPC calls a peer, such as `ipv4:172.17.0.2:4711`; "" for a Unix socket."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    address = ipaddress.ip_address(unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _header(context: Any) -> str:
    for name, value in context.invocation_metadata() or ():
        if name == CALLER_HEADER and isinstance(value, str):
            return value
    return ""
