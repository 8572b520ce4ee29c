"""Each caller is told the addresses that it can reach from where it is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from e2e_api.callers import CALLER_HEADER
from e2e_api.errors import InvalidArgument
from e2e_api.v1 import environment_service_pb2, manifest_service_pb2, object_pb2
from e2e_controller.drivers.base import DriverError, EngineInfo, Guest
from e2e_controller.drivers.fake import FakeDriver
from e2e_controller.guests import Guests
from e2e_controller.objects import environment_key
from e2e_controller.server.standpoints import Standpoint, Standpoints, peer_address

from .conftest import Client, Goal, Harness, checked, document, eventually, key

TEST = Guest("7" * 64, "tests", frozenset({"172.18.0.9"}), network_of="7" * 64)
SIDE = Guest("8" * 64, "side", network_of=TEST.id)
ON_HOST = Guest("9" * 64, "on-host", on_host_network=True, network_of="9" * 64)
STRANGER = "1" * 64
WEB = document(ports={"http": 80})


@pytest.fixture(autouse=True)
def neighbours(harness: Harness) -> None:
    harness.engine.guests |= {guest.id: guest for guest in (TEST, SIDE, ON_HOST)}


def metadata(text: str) -> tuple[tuple[str, str], ...]:
    return ((CALLER_HEADER, text),)


async def endpoint(client: Client, caller: str = "", environment: str = "test") -> object_pb2.Endpoint:
    request = manifest_service_pb2.GetRequest(key=key(environment=environment))
    call = client.manifests.Get(request, timeout=60, metadata=metadata(caller) if caller else None)
    (found,) = (await checked(call)).object.status.endpoints
    return found


async def up(client: Client) -> None:
    await client.apply(WEB)
    await client.wait()


async def test_on_the_host_it_is_the_published_port(client: Client) -> None:
    await up(client)
    assert (await endpoint(client)).external.startswith("127.0.0.1:")
    assert await endpoint(client) == await endpoint(client, "host")
    assert await endpoint(client) == await endpoint(client, f"container {ON_HOST.id}")


async def test_in_a_container_it_is_the_workload_itself(client: Client, harness: Harness) -> None:
    await up(client)
    on_host = await endpoint(client)
    assert harness.engine.admitted == {}
    found = await endpoint(client, f"container {STRANGER} {TEST.id}")
    assert found.external.startswith("10.201.")
    assert found.external.endswith(":80")
    assert harness.engine.admitted == {"test": {TEST.id}}
    assert await endpoint(client) == on_host


async def test_a_shared_network_is_taken_in_by_its_holder(client: Client, harness: Harness) -> None:
    await up(client)
    await endpoint(client, f"container {SIDE.id}")
    assert harness.engine.admitted == {"test": {TEST.id}}


async def test_all_ways_to_ask_tell_the_same(client: Client, harness: Harness) -> None:
    await up(client)
    caller = metadata(f"container {TEST.id}")
    told = (await endpoint(client, caller[0][1])).external
    listed = manifest_service_pb2.ListRequest(environment="test", kind="Workload")
    (found,) = (await checked(client.manifests.List(listed, metadata=caller))).objects
    assert found.status.endpoints[0].external == told
    watch = client.manifests.Watch(
        manifest_service_pb2.WatchRequest(environment="test", kind="Workload"), metadata=caller
    )
    assert (await watch.read()).object.status.endpoints[0].external == told
    watch.cancel()
    await checked(client.manifests.List(listed))


async def test_a_list_of_everything_joins_no_network(client: Client, harness: Harness) -> None:
    await up(client)
    request = manifest_service_pb2.ListRequest(kind="Workload")
    call = client.manifests.List(request, metadata=metadata(f"container {TEST.id}"))
    (found,) = (await checked(call)).objects
    assert found.status.endpoints[0].external == ""
    assert "ask for it alone" in found.status.endpoints[0].problem
    assert harness.engine.admitted == {}


async def test_whoever_holds_is_there_from_the_start_and_until_the_end(
    client: Client, harness: Harness
) -> None:
    request = environment_service_pb2.HoldRequest(environment="test")
    for _ in range(2):  # the second one holds it while it ends, and has it anew
        holds = [
            client.environments.Hold(request, metadata=metadata(f"container {TEST.id}")) for _ in range(2)
        ]
        for hold in holds:
            await hold.read()
        await up(client)
        await eventually(lambda: harness.engine.admitted.get("test") == {TEST.id})
        holds[0].cancel()
        await asyncio.sleep(0.05)
        assert harness.engine.admitted["test"] == {TEST.id}
        holds[1].cancel()
        await eventually(lambda: not harness.engine.admitted.get("test"))


async def test_whoever_was_taken_out_by_hand_is_taken_in_again(client: Client, harness: Harness) -> None:
    hold = client.environments.Hold(
        environment_service_pb2.HoldRequest(environment="test"), metadata=metadata(f"container {TEST.id}")
    )
    await hold.read()
    await up(client)
    await eventually(lambda: harness.engine.admitted.get("test") == {TEST.id})
    harness.engine.admitted["test"].clear()
    harness.manager._queue.add(environment_key("test"))  # as the engine's event does
    await eventually(lambda: harness.engine.admitted.get("test") == {TEST.id})
    hold.cancel()


async def test_a_network_that_cannot_be_joined_is_the_endpoints_problem(
    client: Client, harness: Harness
) -> None:
    await up(client)
    harness.driver.fail("admit", DriverError("the engine says no", remedy="ask again"))
    found = await endpoint(client, f"container {TEST.id}")
    assert (found.external, found.problem) == ("", "the engine says no; ask again")
    assert (await endpoint(client, f"container {TEST.id}")).external


async def test_who_can_be_in_no_network_may_hold_all_the_same(client: Client, harness: Harness) -> None:
    await up(client)
    harness.driver.fail("admit", DriverError("the engine says no"))
    request = environment_service_pb2.HoldRequest(environment="test")
    hold = client.environments.Hold(request, metadata=metadata(f"container {TEST.id}"))
    await hold.read()
    assert harness.engine.admitted == {}
    hold.cancel()


async def test_nonsense_is_refused(client: Client) -> None:
    await up(client)
    with pytest.raises(InvalidArgument, match="e2e-caller: expected `host`"):
        await endpoint(client, "container ../../etc")


async def test_in_the_container_of_the_engine_itself(client: Client) -> None:
    """Where the engine runs in this very container, it does not know it, and its ports are here."""
    await up(client)
    found = await endpoint(client, f"container {STRANGER}")
    assert found.external.startswith("127.0.0.1:")


class TestOverTcp:
    """What a caller says of itself has to fit the address that it comes from."""

    async def standpoint(
        self, peer: str, text: str, own: Guest | None = None, guests: Sequence[Guest] = (TEST, SIDE, ON_HOST)
    ) -> Standpoint:
        driver = FakeDriver()
        driver.engine.guests |= {guest.id: guest for guest in guests}
        info: EngineInfo = replace(await driver.info(), own=own, name="builder")
        context: Any = SimpleNamespace(invocation_metadata=lambda: metadata(text), peer=lambda: peer)
        return await Standpoints(driver, info, Guests(driver, info)).of(context)

    @pytest.mark.parametrize(
        ("peer", "text"),
        [
            ("ipv4:172.18.0.9:4711", f"container {TEST.id}"),
            ("ipv6:%5B::ffff:172.18.0.9%5D:4711", f"container {TEST.id}"),
            ("ipv4:172.18.0.9:4711", "container"),
            ("ipv4:172.18.0.9:4711", f"container {STRANGER}"),
            ("unix:", f"container {TEST.id}"),
        ],
    )
    async def test_proven(self, peer: str, text: str) -> None:
        assert (await self.standpoint(peer, text)).guest == TEST

    async def test_proven_by_the_network_that_it_shares(self) -> None:
        assert (await self.standpoint("ipv4:172.18.0.9:1", f"container {SIDE.id}")).guest == SIDE

    @pytest.mark.parametrize("guest", [TEST, SIDE])
    async def test_beside_the_controller_itself_loopback_proves_it(self, guest: Guest) -> None:
        for peer in ("ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1"):
            assert (await self.standpoint(peer, f"container {guest.id}", own=TEST)).guest == guest
        with pytest.raises(InvalidArgument, match="no address of"):
            await self.standpoint(
                "ipv4:127.0.0.1:1", f"container {TEST.id}", own=replace(TEST, network_of="6" * 64)
            )

    @pytest.mark.parametrize(
        "peer", ["ipv4:172.18.0.1:4711", "ipv4:127.0.0.1:1", "ipv6:%5Bfe80::1%25eth0%5D:9"]
    )
    @pytest.mark.parametrize("guest", [TEST, SIDE])
    async def test_not_proven(self, peer: str, guest: Guest) -> None:
        with pytest.raises(InvalidArgument, match=r"comes from .*no address of container .*Unix socket"):
            await self.standpoint(peer, f"container {guest.id}")

    async def test_one_that_shares_with_nobody_is_not_proven(self) -> None:
        with pytest.raises(InvalidArgument, match="no address of"):
            await self.standpoint("ipv4:172.18.0.9:1", f"container {SIDE.id}", guests=(SIDE,))

    @pytest.mark.parametrize("own", [None, TEST])
    async def test_a_container_of_another_engine(self, own: Guest | None) -> None:
        found = await self.standpoint("ipv4:192.0.2.7:1", f"container {STRANGER}", own)
        assert found.guest is None
        assert f"{STRANGER[:12]} is none of the engine builder" in found.problem
        assert "--network host" in found.problem

    @pytest.mark.parametrize("peer", ["unix:", "ipv4:127.0.0.1:1", "ipv4:172.18.0.1:4711"])
    async def test_a_machine_that_was_made_of_a_containers_files(self, peer: str) -> None:
        own = replace(TEST, gateways=frozenset({"172.18.0.1"}))
        found = await self.standpoint(peer, "container", own)
        assert (found.guest, found.problem) == (None, "")

    async def test_a_container_of_which_nothing_is_known(self) -> None:
        found = await self.standpoint("ipv4:192.0.2.7:1", "container", TEST)
        assert "container at 192.0.2.7 is none of the engine builder" in found.problem

    async def test_on_the_hosts_network(self) -> None:
        found = await self.standpoint("ipv4:127.0.0.1:1", f"container {ON_HOST.id}")
        assert (found.guest, found.problem) == (ON_HOST, "")

    async def test_an_engine_that_is_away_hinders_only_what_needs_an_address(self) -> None:
        driver = FakeDriver()
        info = await driver.info()
        driver.available = False
        context: Any = SimpleNamespace(
            invocation_metadata=lambda: metadata(f"container {TEST.id}"), peer=lambda: "unix:"
        )
        found = await Standpoints(driver, info, Guests(driver, info)).of(context)
        assert "does not answer" in found.problem


@pytest.mark.parametrize(
    ("peer", "address"),
    [("unix:", ""), ("unix:/run/x.sock", ""), ("ipv4:10.0.0.1:80", "10.0.0.1"), ("ipv6:%5B::1%5D:80", "::1")],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert peer_address(peer) == address


class TestOwnContainer:
    """The controller in a container: it joins the networks where it has something to ask."""

    OWN = Guest("5" * 64, "controller", network_of="5" * 64)

    @pytest.fixture
    def harness(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
        harness.engine.guests[self.OWN.id] = self.OWN
        made = harness._make_driver

        def make(*arguments: Any) -> FakeDriver:
            driver = made(*arguments)
            driver.own = self.OWN
            return driver

        monkeypatch.setattr(harness, "_make_driver", make)
        return harness

    async def test_joins_where_it_probes_and_nowhere_else(self, harness: Harness) -> None:
        async with harness.running() as client:
            await client.apply(document("quiet", readiness={"log": {"pattern": "x"}}))
            await client.wait(key("quiet"), goal=Goal.WAIT_GOAL_RUNNING)
            assert harness.engine.admitted == {}
            probed = document("probed", ports={"http": 80}, readiness={"tcp": {"port": "http"}})
            probed["metadata"]["environment"] = "asked"
            await client.apply(probed)
            await eventually(lambda: harness.engine.admitted.get("asked") == {self.OWN.id})
            harness.write("asked/later.yaml", document("later"))
            await client.delete(key("probed", "asked"))
            await client.wait(key("later", "asked"), goal=Goal.WAIT_GOAL_RUNNING)
            assert harness.engine.admitted == {"asked": {self.OWN.id}}
        assert harness.engine.admitted == {"asked": set()}  # it can be started again, whatever is removed

    async def test_what_is_deleted_is_left(self, harness: Harness) -> None:
        async with harness.running() as client:
            await client.apply(document(ports={"http": 80}, readiness={"tcp": {"port": "http"}}))
            await eventually(lambda: harness.engine.admitted.get("test") == {self.OWN.id})
            await client.delete(key())
            await client.wait(key("test", kind="Environment"), goal=Goal.WAIT_GOAL_DELETED)
            assert harness.engine.admitted == {}

    async def test_a_caller_in_the_same_container_does_not_take_it_out(self, harness: Harness) -> None:
        async with harness.running() as client:
            request = environment_service_pb2.HoldRequest(environment="test", keep=True)
            hold = client.environments.Hold(request, metadata=metadata(f"container {self.OWN.id}"))
            await hold.read()
            await client.apply(document(ports={"http": 80}, readiness={"tcp": {"port": "http"}}))
            await eventually(lambda: harness.engine.admitted.get("test") == {self.OWN.id})
            hold.cancel()
            await asyncio.sleep(0.1)
            assert harness.engine.admitted == {"test": {self.OWN.id}}
