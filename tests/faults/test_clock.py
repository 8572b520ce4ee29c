"""The clock on the wall jumps by hours while something is due; what is due comes no later for that."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from e2e_api.conditions import ConditionType
from e2e_controller.drivers.base import DriverError, ImageFailed

from .core import Core, World
from .scenarios import Flaky
from .stories import Story, document, key

JUMPS = [timedelta(hours=hours) for hours in (-7, -0.001, 0.001, 7)]


async def begun(root: Path) -> Story:
    story = Story(World(root))
    await story.begin()
    return story


def elapsed(since: float) -> float:
    return asyncio.get_running_loop().time() - since


def attempts(core: Core) -> int:
    object_ = core.store.get(key())
    return object_.status.failed_attempts if object_ else 0


def summary(core: Core) -> str:
    object_ = core.store.get(key())
    return object_.status.summary if object_ else ""


@pytest.mark.looptime
@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_retry_is_not_held_back(tmp_path: Path, jump: timedelta) -> None:
    story = await begun(tmp_path)
    story.driver.fail("create", DriverError("the engine had a bad day"), times=6)
    await story.write("a.json", document())
    await story.until(lambda core: attempts(core) >= 3, "several failures")
    story.world.clock_error = jump
    began = asyncio.get_running_loop().time()
    await story.settle()
    assert elapsed(began) < 15
    await story.end()


@pytest.mark.looptime
@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_failure_that_needs_a_person_is_looked_at_again(tmp_path: Path, jump: timedelta) -> None:
    story = await begun(tmp_path)
    story.driver.fail("pull", ImageFailed("no such image", retry=False))
    await story.write("a.json", document(image="later:1"))
    await story.until(lambda core: summary(core) == "Failed", "it failed")
    story.world.clock_error = jump
    began = asyncio.get_running_loop().time()
    await story.settle()
    assert elapsed(began) < 130
    await story.end()


@pytest.mark.looptime
@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_restart_is_not_held_back(tmp_path: Path, jump: timedelta) -> None:
    story = await begun(tmp_path)
    story.world.engine.programs["flaky"] = Flaky(times=6)
    await story.write("a.json", document(command=["flaky"], restartPolicy="Always"))
    await story.until(lambda core: restarts(core) >= 4, "several restarts")
    story.world.clock_error = jump
    began = asyncio.get_running_loop().time()
    await story.settle()
    assert elapsed(began) < 30
    await story.end()
    story.world.close()


@pytest.mark.looptime
@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_restarts_back_off_though_the_engines_clock_differs(tmp_path: Path, jump: timedelta) -> None:
    """A wrong clock is no reason to start what crashes as fast as the machine can."""
    story = await begun(tmp_path)
    story.world.clock_error = jump
    flaky = story.world.engine.programs["flaky"] = Flaky(times=1000)
    await story.write("a.json", document(command=["flaky"], restartPolicy="Always"))
    await story.until(lambda core: restarts(core) >= 4, "several restarts")
    before = flaky.runs
    await asyncio.sleep(60)
    assert 1 <= flaky.runs - before <= 12
    await story.end()
    story.world.close()


def restarts(core: Core) -> int:
    object_ = core.store.get(key())
    return object_.status.restart_count if object_ else 0


@pytest.mark.looptime
async def test_conditions_and_phases_stay_sane(tmp_path: Path) -> None:
    story = await begun(tmp_path)
    for hours in (7, -7, 0):
        story.world.clock_error = timedelta(hours=hours)
        await story.write("a.json", document(env={"HOURS": str(hours)}))
        await story.settle()
        object_ = story.core.store.get(key())
        assert object_ is not None
        assert object_.status.is_true(ConditionType.READY)
        assert all(phase.duration >= 0 for phase in object_.status.phases)
    await story.end()
