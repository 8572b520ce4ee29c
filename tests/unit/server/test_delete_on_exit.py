"""What --delete-on-exit does when the controller is stopped."""

import re

import pytest

from e2e_controller.drivers.base import DriverError
from e2e_controller.manager import LeftBehind

from .conftest import Harness, document, key


async def test_nothing_is_left_but_the_manifests(harness: Harness) -> None:
    harness.write("shop/web.yaml", document())
    async with harness.running(delete_on_exit=True) as client:
        await client.wait(key(environment="shop"))
        assert (harness.state / "environments" / "shop").is_dir()
    assert not harness.engine.containers
    assert not harness.engine.networks
    assert list((harness.state / "environments").iterdir()) == []
    assert (harness.folder / "shop" / "web.yaml").exists()


async def test_without_it_all_stays(harness: Harness) -> None:
    harness.write("shop/web.yaml", document())
    async with harness.running() as client:
        await client.wait(key(environment="shop"))
    assert harness.engine.containers
    assert harness.engine.networks
    assert (harness.state / "environments" / "shop").is_dir()


async def test_what_cannot_be_removed_is_named_and_the_rest_goes(harness: Harness) -> None:
    for name in ("web", "db"):
        harness.write(f"shop/{name}.yaml", document(name))

    async def run() -> None:
        async with harness.running(delete_on_exit=True) as client:
            await client.wait(key("web", "shop"), key("db", "shop"))
            harness.driver.fail("remove", DriverError("the device is busy"))

    with pytest.raises(LeftBehind) as raised:
        await run()
    first, left, remedy = str(raised.value).splitlines()
    assert first == "left behind:"
    assert re.fullmatch(r"container of shop/Workload/(db|web): the device is busy", left)
    assert "--delete-on-exit" in remedy
    assert len(harness.engine.containers) == 1
    assert list((harness.state / "environments").iterdir()) == []


async def test_an_engine_that_does_not_answer_is_told_of(harness: Harness) -> None:
    harness.write("shop/web.yaml", document())

    async def run() -> None:
        async with harness.running(delete_on_exit=True) as client:
            await client.wait(key(environment="shop"))
            harness.driver.available = False

    with pytest.raises(LeftBehind, match="containers: the fake engine does not answer"):
        await run()
