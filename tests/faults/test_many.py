"""A thousand manifests at once, on the engine in memory."""

from pathlib import Path

import pytest

from e2e_controller.drivers.base import Key
from tests.unit.server.conftest import Goal, Harness, document, eventually, key

from .engine import PATIENCE, TIMEOUT, soak

NUMBER = soak("MANIFESTS", 1000)
STILL = ("list_", "inspect", "ensure_network", "image_present")

pytestmark = pytest.mark.timeout(TIMEOUT)


async def test_a_thousand_files_at_once(tmp_path: Path) -> None:
    """All accepted, each created and started once; touched, they cost nothing; removed, nothing is left."""
    harness = Harness(tmp_path)
    async with harness.running(rescan_interval=5.0) as client:
        for number in range(NUMBER):
            harness.write(f"test/w{number}.json", document(f"w{number}"))
        seen = await client.wait(*(key(f"w{number}") for number in range(NUMBER)), timeout=PATIENCE)
        assert seen[-1].met
        calls = harness.driver.calls
        for verb in ("create", "start"):
            made = [call for call in calls if call.startswith(f"{verb} ")]
            assert len(made) == len(set(made)) == NUMBER
        before = len(calls)
        for number in range(NUMBER):
            harness.write(f"test/w{number}.json", document(f"w{number}"))
        await client.get("w0")
        assert all(call.startswith(STILL) for call in calls[before:])
        for file in (harness.folder / "test").iterdir():
            file.unlink()
        await client.wait(key("w0"), goal=Goal.WAIT_GOAL_DELETED, timeout=PATIENCE)
        await eventually(lambda: not harness.engine.containers and not harness.engine.networks, PATIENCE)
        await eventually(lambda: not harness.manager._store.select("test"), PATIENCE)


async def test_a_storm_on_one_key_ends_in_its_last_state(tmp_path: Path) -> None:
    """While the first container is being made 299 more are asked for: only the last of them comes to be."""
    harness = Harness(tmp_path)
    async with harness.running() as client:
        driver = harness.driver
        driver.hang("create")
        for number in range(300):
            await client.apply(document(env={"NUMBER": str(number)}))
        driver.release("create")
        await client.wait()
        assert driver.container(Key("test", "Workload", "web")).spec.env == {"NUMBER": "299"}
        assert count(driver.calls, "create") == 2
        assert count(driver.calls, "start") <= 2
        # Each look begins with one; events and the status of the network are reasons for some more.
        assert count(driver.calls, "inspect") <= 12
        assert len(harness.engine.containers) == 1
        assert [path.name for path in harness.state.glob("manifests/test/*")] == ["workload.web.json"]


def count(calls: list[str], verb: str) -> int:
    return sum(call.startswith(f"{verb} ") for call in calls)
