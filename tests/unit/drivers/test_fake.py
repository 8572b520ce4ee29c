"""What tests can do to the fake; what it has in common with engines is in the contract suite."""

import asyncio

import pytest

from e2e_controller.drivers.base import (
    ContainerEvent,
    ContainerPhase,
    ContainerSpec,
    DriverError,
    EngineUnavailable,
    Key,
    PortSpec,
)
from e2e_controller.drivers.fake import FakeDriver, FakeProcess

KEY = Key("env", "Workload", "web")
SPEC = ContainerSpec(image="image", command=("serve",))


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver(images=["image"])


async def up(driver: FakeDriver, spec: ContainerSpec = SPEC, key: Key = KEY) -> str:
    await driver.ensure_network(key.environment)
    container_id = await driver.create(key, spec, "hash")
    await driver.start_container(container_id)
    return container_id


async def phase(driver: FakeDriver) -> ContainerPhase | None:
    found = await driver.inspect(KEY)
    return found.phase if found else None


async def test_calls_are_recorded(driver: FakeDriver) -> None:
    container_id = await up(driver)
    await driver.stop(container_id, 3)
    await driver.inspect(KEY)
    await driver.kill(container_id, "SIGHUP")
    await driver.remove(container_id)
    await driver.remove_environment("env")
    assert driver.calls == [
        "ensure_network env",
        "create env/Workload/web",
        "start env/Workload/web",
        "stop env/Workload/web",
        "inspect env/Workload/web",
        "kill env/Workload/web SIGHUP",
        "remove env/Workload/web",
        "remove_environment env",
    ]
    assert "inspect env/Workload/web" not in driver.changes
    assert len(driver.changes) == 7


async def test_an_unknown_program_runs_until_it_is_ended(driver: FakeDriver) -> None:
    await up(driver)
    assert await phase(driver) is ContainerPhase.RUNNING
    driver.exit(KEY, 3, logs=b"a\nb\n", oom=True)
    found = await driver.inspect(KEY)
    assert found is not None
    assert (found.phase, found.exit_code, found.oom_killed) == (ContainerPhase.EXITED, 3, True)
    assert [piece.data async for piece in driver.logs(found.id)] == [b"a\n", b"b\n"]


async def test_an_unknown_program_obeys_a_stop(driver: FakeDriver) -> None:
    await driver.stop(await up(driver), 1000)
    found = await driver.inspect(KEY)
    assert found is not None
    assert found.exit_code == 143


async def test_a_program_of_the_tests_own(driver: FakeDriver) -> None:
    async def serve(process: FakeProcess) -> int:
        await process.write(b"serving\n")
        await process.signal("SIGTERM")
        return 5

    driver.engine.programs["serve"] = serve
    container_id = await up(driver)
    await driver.stop(container_id, 1000)
    found = await driver.inspect(KEY)
    assert found is not None
    assert found.exit_code == 5
    assert driver.container(KEY).signals == ["SIGTERM"]


async def test_failures_come_as_often_as_told(driver: FakeDriver) -> None:
    driver.fail("create", DriverError("no"), times=2)
    await driver.ensure_network("env")
    for _ in range(2):
        with pytest.raises(DriverError, match="no"):
            await driver.create(KEY, SPEC, "hash")
    await driver.create(KEY, SPEC, "hash")


async def test_a_call_can_hang(driver: FakeDriver) -> None:
    driver.hang("ensure_network")
    call = asyncio.create_task(driver.ensure_network("env"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not call.done()
    driver.release("ensure_network")
    await call


async def test_an_engine_that_is_away(driver: FakeDriver) -> None:
    driver.available = False
    with pytest.raises(EngineUnavailable):
        await driver.list_containers()
    driver.available = True
    assert await driver.list_containers() == []


async def test_an_engine_that_goes_ends_its_events(driver: FakeDriver) -> None:
    events = aiter(driver.events())
    await anext(events)
    driver.go_away()
    assert await anext(events) == ContainerEvent(None, "disconnected")
    with pytest.raises(EngineUnavailable):
        await driver.list_containers()
    driver.come_back()
    assert await anext(events) == ContainerEvent(None, "reconnected")
    assert await driver.list_containers() == []
    await events.aclose()


async def test_drivers_may_share_an_engine(driver: FakeDriver) -> None:
    container_id = await up(driver)
    again = FakeDriver(engine=driver.engine)
    found = await again.inspect(KEY)
    assert found is not None
    assert found.id == container_id


async def test_events_are_the_owners(driver: FakeDriver) -> None:
    other = FakeDriver("other", engine=driver.engine)
    events, others = aiter(driver.events()), aiter(other.events())
    assert await anext(events) == await anext(others) == ContainerEvent(None, "connected")
    await up(driver)
    driver.remove_behind_the_back(KEY)
    assert [(await anext(events)).action for _ in range(4)] == ["create", "start", "die", "destroy"]
    waiting = asyncio.ensure_future(anext(others))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await events.aclose()
    await others.aclose()
    assert driver.engine.followers == []


async def test_taken_ports(driver: FakeDriver) -> None:
    spec = ContainerSpec(
        image="image", command=("serve",), ports={"http": PortSpec(80), "fix": PortSpec(81, 99)}
    )
    await up(driver, spec)
    found = await driver.inspect(KEY)
    assert found is not None
    assert found.host_ports["81/tcp"] == 99
    assert driver.container(KEY).chosen_ports == {found.host_ports["80/tcp"]}
