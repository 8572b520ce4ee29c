"""The SDK with a whole controller, on the driver in memory: what happens to an environment in the end."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from e2e import AsyncEnvironment, Environment, Unavailable
from e2e_api.v1 import environment_service_pb2
from e2e_controller.drivers.base import DriverError, Key

from .conftest import IMAGE, Client, Harness, document, eventually

WEB = Key("test", "Workload", "web")


@pytest.fixture
def address() -> Iterator[str]:
    """The same for one controller after another."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        yield f"unix://{directory}/s"


def leases(harness: Harness) -> int:
    return harness.manager._leases.count("test")


def settled(harness: Harness) -> bool:
    return harness.manager._queue.idle and not harness.manager._leases._ends._tasks


async def test_a_restart_takes_nothing_from_a_test_that_runs(harness: Harness, address: str) -> None:
    async with harness.running(listen=[address]):
        environment = await AsyncEnvironment("test", controller=address).start()
        web = environment.workload("web", image=IMAGE)
        await environment.start_and_wait_ready(web)
        first = harness.driver.container(WEB).view.id
    async with harness.running(listen=[address], recovery_grace=20):
        await eventually(lambda: leases(harness) == 1)
        await eventually(lambda: settled(harness))
        assert harness.driver.container(WEB).view.id == first
        assert await web.is_running()
        await environment.close()
        assert leases(harness) == 0
        assert not harness.engine.containers
        assert not harness.engine.networks


async def test_a_restart_takes_nothing_from_a_test_that_blocks(harness: Harness, address: str) -> None:
    async with harness.running(listen=[address]):
        environment = await asyncio.to_thread(Environment("test", controller=address).start)
        web = environment.workload("web", image=IMAGE)
        await asyncio.to_thread(web.start_and_wait_ready)
        first = harness.driver.container(WEB).view.id
    async with harness.running(listen=[address], recovery_grace=20):
        await eventually(lambda: leases(harness) == 1)
        await eventually(lambda: settled(harness))
        assert harness.driver.container(WEB).view.id == first
        await asyncio.to_thread(environment.close)
        assert leases(harness) == 0
        assert not harness.engine.containers


async def test_an_environment_without_objects_outlives_a_restart(harness: Harness, address: str) -> None:
    async with harness.running(listen=[address]):
        environment = await AsyncEnvironment("test", controller=address).start()
        await eventually(lambda: harness.engine.networks)
        (environment.shared_dir / "file").write_text("mine")
        network = dict(harness.engine.networks)
    async with harness.running(listen=[address], recovery_grace=20):
        await eventually(lambda: leases(harness) == 1)
        await eventually(lambda: settled(harness))
        assert harness.engine.networks == network
        assert (environment.shared_dir / "file").read_text() == "mine"
        await environment.close()
        assert not harness.engine.networks


async def test_an_end_right_after_a_restart_deletes(harness: Harness, address: str) -> None:
    async with harness.running(listen=[address]):
        environment = await AsyncEnvironment("test", controller=address).start()
        await environment.start_and_wait_ready(environment.workload("web", image=IMAGE))
    closing = asyncio.create_task(environment.close())
    await asyncio.sleep(0.3)  # nobody serves
    async with harness.running(listen=[address], recovery_grace=20):
        await closing
        assert not harness.engine.containers


async def test_what_nobody_holds_again_goes_after_a_restart(harness: Harness) -> None:
    async with harness.running() as client:
        call = await hold(client)
        await client.apply(document())
        await client.wait()
    call.cancel()
    began = time.monotonic()
    async with harness.running(recovery_grace=0.5):
        await eventually(lambda: not harness.engine.containers)
        assert time.monotonic() - began > 0.5


async def hold(client: Client, *, fresh: bool = False) -> Any:
    call = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test", fresh=fresh))
    await call.read()
    return call


async def test_a_fresh_claim_is_free_of_what_a_crash_left(harness: Harness) -> None:
    """The controller was killed when it had unlinked the manifests, and before it had removed anything."""
    async with harness.running() as client:
        await hold(client)
        await client.apply(document())
        await client.wait()
        first = harness.driver.container(WEB).view.id
        (harness.state / "environments/test/web/data").write_text("old")
    shutil.rmtree(harness.state / "manifests/test")
    (harness.state / "leases/test").unlink()
    harness.latency = {"remove": 0.2, "list_containers": 0.02, "inspect": 0.01}
    async with harness.running() as client:
        await hold(client, fresh=True)
        assert not (harness.state / "environments/test/web").exists()
        await client.apply(document())
        await client.wait()
        assert harness.driver.container(WEB).view.id != first


async def test_what_keeps_leftovers_from_going_is_told(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2e_controller.deletions.LEFTOVERS_SECONDS", 5.0)
    async with harness.running() as client:
        await eventually(lambda: settled(harness))
        harness.driver.fail("list_containers", DriverError("the engine had a bad day"), times=100)
        with pytest.raises(grpc.RpcError, match=r"is not gone after 5 s: .*the engine had a bad day"):
            await client.environments.Hold(
                environment_service_pb2.HoldRequest(environment="test", fresh=True)
            ).read()


async def test_a_failed_test_whose_state_cannot_be_told_leaves_nothing(
    harness: Harness, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: AsyncEnvironment) -> str:
        raise Unavailable("the list came too late")

    async def test() -> None:
        async with AsyncEnvironment("test", controller=address) as environment:
            await environment.start_and_wait_ready(environment.workload("web", image=IMAGE))
            raise AssertionError("the test failed")

    async with harness.running(listen=[address]):
        monkeypatch.setattr(AsyncEnvironment, "describe", fail)
        with pytest.raises(AssertionError, match="the test failed") as failed:
            await test()
        assert failed.value.__notes__ == [
            "and the state of environment test is not known: the list came too late"
        ]
        assert not harness.engine.containers
        assert leases(harness) == 0


@pytest.mark.parametrize("file", ["an Environment", "a Workload"])
async def test_what_a_users_file_defines_does_not_hold_up_the_end(
    harness: Harness, address: str, file: str
) -> None:
    defined = document("test", "Environment") if file == "an Environment" else document("theirs")
    harness.write("test/theirs.json", defined)
    async with harness.running(listen=[address]) as client:
        async with AsyncEnvironment("test", controller=address, timeout=60) as environment:
            await environment.start_and_wait_ready(environment.workload("web", image=IMAGE))
        left = {container.view.key.name for container in harness.engine.containers.values()}
        assert left == ({"theirs"} if file == "a Workload" else set())
        kept = await client.get("test", kind="Environment")
        assert not kept.deleting
