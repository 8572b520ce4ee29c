"""How often a workload was started again is known after a crash of the controller, too."""

from pathlib import Path

import pytest

from .core import Core, World
from .programs import Flaky
from .stories import Story, document, key

RESTARTS = 6


def restarts(core: Core) -> int:
    """0, too, of what this life of the controller has not looked at yet."""
    object_ = core.store.get(key())
    return object_.status.restart_count if object_ else 0


def is_looked_at(core: Core) -> bool:
    object_ = core.store.get(key())
    return object_ is not None and object_.status.container is not None


@pytest.mark.looptime
@pytest.mark.parametrize("before", range(1, RESTARTS + 1))
async def test_restarts_are_counted_over_a_crash(tmp_path: Path, before: int) -> None:
    story = Story(World(tmp_path))
    await story.begin()
    flaky = story.world.engine.programs["flaky"] = Flaky(times=RESTARTS)
    await story.write("a.json", document(command=["flaky"], restartPolicy="Always"))
    await story.until(lambda core: restarts(core) >= before, "some restarts")
    known = restarts(story.core)
    await story.restart()
    await story.until(is_looked_at, "a first look")
    assert restarts(story.core) >= known
    await story.settle()
    assert restarts(story.core) == flaky.runs - 1 == RESTARTS
    await story.write("a.json", document())
    await story.settle()
    await story.restart()
    await story.settle()
    assert restarts(story.core) == 0, "another container has none"
    await story.end()
    story.world.close()
