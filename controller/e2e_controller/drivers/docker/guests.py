"""Containers that are not ours and are in our networks all the same: of callers, and of this process."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from e2e_controller.drivers.base import ContainerGone, Guest, GuestMount
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.failures import EngineRefusal
from e2e_controller.drivers.docker.members import GUEST_ALIAS, is_guest
from e2e_controller.drivers.docker.networks import Networks
from e2e_controller.own_container import OwnHints

_ALREADY_IN = ("already exists in network", "already connected")
_LOWEST_PRIORITY = -1
_SINCE_PRIORITIES = (1, 48)


class Guests:
    """Finds containers that are not ours, and takes them into networks of environments."""

    def __init__(self, engine: Engine, networks: Networks) -> None:
        self._engine = engine
        self._networks = networks

    async def find(self, ids: Sequence[str], address: str = "") -> Guest | None:
        """The first that runs and has one of the ids, else the one that has the address."""

        def look(client: APIClient) -> Guest | None:
            for found in _inspected(client, ids):
                return guest_of(found)
            at_address = _ids_at(client, address) if address else ()
            return next(map(guest_of, _inspected(client, at_address)), None)

        return await self._engine.call("inspect", look, "look for the caller's container")

    async def find_own(self, hints: OwnHints) -> Guest | None:
        """The container of this process; what it writes to tells it from one whose network it shares."""
        if not hints.in_container:
            return None

        def look(client: APIClient) -> Guest | None:
            for found in _inspected(client, hints.ids):
                if not hints.upper_layer or _upper_layer(found) in ("", hints.upper_layer):
                    return guest_of(found)
            everybody = [it["Id"] for it in client.containers()] if hints.upper_layer else []
            same = (it for it in _inspected(client, everybody) if _upper_layer(it) == hints.upper_layer)
            return next(map(guest_of, same), None)

        return await self._engine.call("inspect", look, "look for this container")

    async def admit(self, environment: str, container_id: str) -> None:
        """Takes one into the environment's network."""
        network = await self._networks.known_id(environment)

        def connect(client: APIClient) -> None:
            url = f"{client.base_url}/v{client.api_version}/networks/{network}/connect"
            settings: dict[str, Any] = {"Aliases": [GUEST_ALIAS]}
            if _version(client) >= _SINCE_PRIORITIES:
                settings["GwPriority"] = _LOWEST_PRIORITY  # it keeps its way to other networks
            body = {"Container": container_id, "EndpointConfig": settings}
            answer = client.post(url, json=body, timeout=client.timeout)
            if answer.status_code >= 400:
                refusal = EngineRefusal.from_answer(answer.status_code, answer.content)
                if not any(text in str(refusal) for text in _ALREADY_IN):
                    raise refusal

        what = f"take the container {container_id[:12]} into the network of {environment}"
        await self._engine.call("connect", connect, what, environment=environment)

    async def dismiss(self, environment: str, container_id: str) -> None:
        """Takes it out again."""
        try:
            network = await self._networks.known_id(environment)
        except ContainerGone:
            return

        def disconnect(client: APIClient) -> None:
            if not is_guest(client, container_id, network):
                return  # or whoever else has put it there, wants it there
            try:
                client.disconnect_container_from_network(container_id, network, force=True)
            except NotFound:
                return
            except APIError as error:
                if "is not connected" not in str(error):
                    raise

        await self._engine.call("disconnect", disconnect, environment=environment)


def guest_of(inspected: Mapping[str, Any]) -> Guest:
    """The engine's view of a container, as a guest."""
    networks = (inspected["NetworkSettings"].get("Networks") or {}).values()
    mode = str(inspected["HostConfig"].get("NetworkMode", ""))
    shared = mode.partition(":")[2] if mode.startswith("container:") else ""
    return Guest(
        id=str(inspected["Id"]),
        name=str(inspected["Name"]).lstrip("/"),
        addresses=_texts(networks, "IPAddress", "GlobalIPv6Address"),
        gateways=_texts(networks, "Gateway", "IPv6Gateway"),
        on_host_network=mode == "host",
        network_of=shared or str(inspected["Id"]),
        mounts=tuple(_mount(mount) for mount in inspected.get("Mounts") or () if mount.get("Source")),
    )


def _mount(mount: Mapping[str, Any]) -> GuestMount:
    source, target = str(mount["Source"]), str(mount["Destination"])
    return GuestMount(source, target, bool(mount.get("RW")), str(mount.get("Name") or ""))


def _texts(settings: Iterable[Mapping[str, Any]], *names: str) -> frozenset[str]:
    return frozenset(text for item in settings for name in names if (text := item.get(name)))


def _inspected(client: APIClient, ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Of those that run; those that are not there are left out."""
    for container_id in ids:
        try:
            found = client.inspect_container(container_id)
        except NotFound:
            continue
        if found["State"]["Running"]:
            yield found


def _ids_at(client: APIClient, address: str) -> list[str]:
    """Whose address it is: at most one of those that run."""

    def has(item: Mapping[str, Any]) -> bool:
        networks = (item.get("NetworkSettings") or {}).get("Networks") or {}
        return any(address in (it.get("IPAddress"), it.get("GlobalIPv6Address")) for it in networks.values())

    return [str(item["Id"]) for item in client.containers() if has(item)]


def _upper_layer(inspected: Mapping[str, Any]) -> str:
    data = (inspected.get("GraphDriver") or {}).get("Data") or {}
    return str(data.get("UpperDir", ""))


def _version(client: APIClient) -> tuple[int, ...]:
    return tuple(int(part) for part in str(client.api_version).split("."))
