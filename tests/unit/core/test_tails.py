"""The end of a log that is followed before it is needed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from e2e_controller.drivers.base import Container, ContainerSpec, DriverError, Key
from e2e_controller.drivers.fake import FakeDriver
from e2e_controller.reconcile import tails
from e2e_controller.reconcile.tails import LogTails

KEY = Key("test", "Workload", "web")
pytestmark = pytest.mark.looptime


@pytest.fixture
async def driver() -> FakeDriver:
    driver = FakeDriver(images=["busybox:1.36"])
    await driver.ensure_network("test")
    await driver.start_container(await driver.create(KEY, ContainerSpec("busybox:1.36"), "hash"))
    return driver


@pytest.fixture
async def logs(driver: FakeDriver) -> AsyncIterator[LogTails]:
    made = LogTails(driver)
    yield made
    await made.aclose()


def seen(driver: FakeDriver) -> Container:
    return driver.container(KEY).view


def asked(driver: FakeDriver) -> int:
    return sum(call.startswith("logs") for call in driver.calls)


async def test_it_is_read_to_its_end(driver: FakeDriver, logs: LogTails) -> None:
    driver.log(KEY, b"early\n")
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    driver.exit(KEY, 3, b"late\nlast")
    assert await logs.lines(seen(driver)) == ("early", "late", "last")
    assert asked(driver) == 1


async def test_to_be_told_again_changes_nothing(driver: FakeDriver, logs: LogTails) -> None:
    for _ in range(5):
        logs.follow(seen(driver))
        await asyncio.sleep(0.3)
    assert asked(driver) == 1


async def test_a_start_that_is_over_soon_does_not_pay(driver: FakeDriver, logs: LogTails) -> None:
    logs.follow(seen(driver))
    await asyncio.sleep(tails.DELAY / 2)
    logs.forget(KEY)
    await asyncio.sleep(1)
    assert not asked(driver)
    assert await logs.lines(seen(driver)) is None


async def test_another_run_is_another_log(driver: FakeDriver, logs: LogTails) -> None:
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    driver.exit(KEY, 1)
    await driver.start_container(seen(driver).id)
    assert await logs.lines(seen(driver)) is None
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    assert asked(driver) == 2


async def test_one_that_does_not_end_is_not_waited_for(driver: FakeDriver, logs: LogTails) -> None:
    driver.hang("logs")
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    driver.exit(KEY, 1)
    before = asyncio.get_running_loop().time()
    assert await logs.lines(seen(driver)) is None
    assert asyncio.get_running_loop().time() - before == pytest.approx(tails.PATIENCE)


async def test_one_that_cannot_be_had_is_none(driver: FakeDriver, logs: LogTails) -> None:
    driver.fail("logs", DriverError("broken"))
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    driver.exit(KEY, 1)
    assert await logs.lines(seen(driver)) is None


async def test_who_writes_without_end_is_left_alone(
    driver: FakeDriver, logs: LogTails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "_MOST_READ", 100)
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    for _ in range(20):
        driver.log(KEY, b"10 letters\n")
    await asyncio.sleep(1)
    driver.exit(KEY, 1)
    assert await logs.lines(seen(driver)) is None


async def test_forgotten_while_it_is_asked_for(driver: FakeDriver, logs: LogTails) -> None:
    logs.follow(seen(driver))
    await asyncio.sleep(1)
    asking = asyncio.create_task(logs.lines(seen(driver)))
    await asyncio.sleep(0)
    logs.forget(KEY)
    assert await asking is None
