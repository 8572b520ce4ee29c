"""Networks and events, without an engine."""

import ipaddress
from collections.abc import Mapping
from typing import Any

import docker.errors
import pytest
import requests

from e2e_controller.drivers.base import NAME_IS_FREE, ContainerEvent, DriverError, Key
from e2e_controller.drivers.docker.containers import key_labels
from e2e_controller.drivers.docker.deaths import Deaths
from e2e_controller.drivers.docker.endpoint import Endpoint
from e2e_controller.drivers.docker.events import Events
from e2e_controller.drivers.docker.failures import to_driver_error
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.networks import Networks, subnets_of
from e2e_controller.drivers.inventory import Owner

KEY = Key("env", "Workload", "web")


def test_subnets() -> None:
    networks = [
        {"IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}, {"Subnet": "fd00::/64"}]}},
        {"IPAM": {"Config": None}},
        {"IPAM": None},
        {},
        {"IPAM": {"Config": [{}]}},
        {"IPAM": {"Config": [{"Subnet": "10.1.0.1/16"}]}},
    ]
    assert [str(found) for found in subnets_of(networks)] == ["10.0.0.0/24", "10.1.0.0/16"]


class StubClient:
    """An engine with one network, which it does not let go."""

    def __init__(self) -> None:
        self.members: dict[str, dict[str, str]] = {}
        self.removals = 0
        self.lets_go = False
        self.is_there = True

    def networks(self, filters: object = None) -> list[dict[str, Any]]:
        return [self.inspect_network("net")] if self.is_there else []

    def containers(self, **_filters: object) -> list[dict[str, Any]]:
        return []

    def inspect_network(self, _name: str) -> dict[str, Any]:
        if not self.is_there:
            raise docker.errors.NotFound("no such network")
        labels = {"io.e2e.controller": "me", "io.e2e.environment": "env"}
        return {"Id": "net", "Name": "e2e-env", "Labels": labels, "Containers": self.members}

    def remove_network(self, _network: str) -> None:
        self.removals += 1
        if not self.lets_go:
            response = requests.Response()
            response.status_code = 403
            raise docker.errors.APIError("no", response=response, explanation="it has active endpoints")
        self.is_there = False


class StubEngine:
    is_podman = False

    def __init__(self, client: StubClient) -> None:
        self.client = client
        self.turns: list[tuple[str, str]] = []
        """Each call, and the environment in whose turn it was made."""

    async def call(self, name: str, function: Any, what: str = "", *, environment: str = "") -> Any:
        self.turns.append((name, environment))
        try:
            return function(self.client)
        except Exception as error:
            raise to_driver_error(what or name, error, Endpoint("unix:///x", "x"), 1) from error


class TestNetworksThatTheEngineKeeps:
    """Some engines lose count of a network's endpoints when many containers end at once."""

    @pytest.fixture
    def client(self) -> StubClient:
        return StubClient()

    @pytest.fixture
    def networks(self, client: StubClient) -> Networks:
        return Networks(StubEngine(client), Known(), Owner("me"), "10.0.0.0/16", 24)  # type: ignore[arg-type]

    async def test_an_empty_one_counts_as_removed(
        self, client: StubClient, networks: Networks, caplog: pytest.LogCaptureFixture
    ) -> None:
        await networks.remove("env")
        assert "lost count" in caplog.text
        assert await networks.environments() == {}
        assert await networks.inspect("env") is None
        assert client.is_there

    async def test_its_removal_is_tried_again_with_others(
        self, client: StubClient, networks: Networks
    ) -> None:
        await networks.remove("env")
        client.lets_go = True
        await networks.remove("env")
        assert not client.is_there
        removals = client.removals
        await networks.remove("env")
        assert client.removals == removals

    async def test_it_is_used_again(self, client: StubClient, networks: Networks) -> None:
        await networks.remove("env")
        assert await networks.ensure("env") == "net"
        assert await networks.environments() == {"env": "net"}
        assert await networks.inspect("env") == "net"

    async def test_one_that_is_in_use_is_an_error(self, client: StubClient, networks: Networks) -> None:
        client.members = {"id": {"Name": "stranger"}}
        client.inspect_container = lambda _id: {"Config": {"Labels": {}}}  # type: ignore[attr-defined]
        with pytest.raises(DriverError, match="in use by the container stranger"):
            await networks.remove("env")
        assert await networks.environments() == {"env": "net"}

    async def test_a_subnet_has_to_fit(self) -> None:
        with pytest.raises(ValueError, match="do not fit"):
            Networks(StubEngine(StubClient()), Known(), Owner("me"), "10.0.0.0/24", 16)  # type: ignore[arg-type]


class TestEvents:
    @pytest.fixture
    def known(self) -> Known:
        known = Known()
        known.learn("id", KEY)
        known.networks["env"] = "net", 0.0
        return known

    def translated(self, known: Known, document: Mapping[str, Any]) -> ContainerEvent | None:
        return Events(None, known, Deaths(), "me")._translate(document)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("action", "expected"),
        [
            ("start", "start"),
            ("kill", None),
            ("health_status: healthy", "health_status"),
            ("exec_create: x", None),
            ("top", None),
        ],
    )
    def test_of_containers(self, known: Known, action: str, expected: str | None) -> None:
        labels = {"io.e2e.controller": "me", "io.e2e.environment": "env", "io.e2e.kind": "Workload"}
        attributes = labels | {"io.e2e.name": "web"}
        document = {"Type": "container", "Action": action, "Actor": {"ID": "id", "Attributes": attributes}}
        assert self.translated(known, document) == (ContainerEvent(KEY, expected) if expected else None)
        foreign = {**document, "Actor": {"ID": "id", "Attributes": attributes | {"io.e2e.controller": "x"}}}
        assert self.translated(known, foreign) is None

    @pytest.mark.parametrize(
        ("action", "name", "expected"),
        [
            ("rename", "elsewhere", ContainerEvent(None, "stray")),
            ("create", "copy", ContainerEvent(None, "stray")),
            ("die", "copy", None),
            ("rename", "env.web", ContainerEvent(KEY, "rename")),
        ],
    )
    def test_of_one_that_has_another_name(
        self, known: Known, action: str, name: str, expected: ContainerEvent | None
    ) -> None:
        attributes = key_labels(KEY, Owner("me")) | {"name": name}
        document = {"Type": "container", "Action": action, "Actor": {"ID": "id", "Attributes": attributes}}
        assert self.translated(known, document) == expected

    @pytest.mark.parametrize(
        ("kind", "action", "attributes"),
        [
            ("container", "destroy", {"name": "env.web"}),
            ("container", "rename", {"name": "other", "oldName": "/env.web"}),
            ("network", "destroy", {"name": "env.web"}),
            ("network", "disconnect", {"name": "env.web", "container": "stranger"}),
        ],
    )
    def test_of_a_name_that_is_awaited(
        self, known: Known, kind: str, action: str, attributes: Mapping[str, str]
    ) -> None:
        document = {"Type": kind, "Action": action, "Actor": {"ID": "x", "Attributes": attributes}}
        assert self.translated(known, document) is None
        known.awaited_names["env.web"] = KEY
        assert self.translated(known, document) == ContainerEvent(KEY, NAME_IS_FREE)
        assert self.translated(known, document) is None

    @pytest.mark.parametrize(("signal", "unkilled"), [("9", False), ("1", True)])
    def test_a_kill_is_remembered(self, known: Known, signal: str, unkilled: bool) -> None:
        known.started("id")
        attributes = key_labels(KEY, Owner("me")) | {"signal": signal}
        self.translated(
            known, {"Type": "container", "Action": "kill", "Actor": {"ID": "id", "Attributes": attributes}}
        )
        assert known.is_unkilled("id") == unkilled

    @pytest.mark.parametrize(
        ("name", "action", "container", "expected"),
        [
            ("e2e-env", "disconnect", "id", KEY),
            ("e2e-env", "disconnect", "other", Key("env", "Environment", "env")),
            ("e2e-env", "destroy", "", Key("env", "Environment", "env")),
            ("e2e-env", "connect", "id", None),
            ("e2e-other", "destroy", "", None),
            ("bridge", "disconnect", "id", None),
        ],
    )
    def test_of_networks(
        self, known: Known, name: str, action: str, container: str, expected: Key | None
    ) -> None:
        attributes = {"name": name, "container": container}
        document = {"Type": "network", "Action": action, "Actor": {"ID": "net", "Attributes": attributes}}
        event = ContainerEvent(expected, f"network_{action}") if expected else None
        assert self.translated(known, document) == event
        if event and action == "destroy":
            assert "env" not in known.networks


def test_pools_are_ipv4() -> None:
    with pytest.raises(ipaddress.AddressValueError):
        Networks(StubEngine(StubClient()), Known(), Owner("me"), "fd00::/64", 80)  # type: ignore[arg-type]
