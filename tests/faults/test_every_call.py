"""Every driver call of every scenario goes wrong once, in every way; each time all ends as it should."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from e2e_controller.drivers.fake import FAULT_KINDS, Fault, FaultKind

from .core import World
from .engine import soak
from .scenarios import SCENARIOS, Scenario
from .stories import Story

Record = Callable[[str, object], None]
STRIDE = soak("STRIDE", 4)


async def run(scenario: Scenario, root: Path, faults: Iterable[Fault] = ()) -> Story:
    """Tells a scenario to its end, and checks that it ended well."""
    world = World(root)
    story = Story(world, faults)
    await story.begin()
    try:
        await scenario.tell(story)
        await story.settle()
        await story.rest()
    finally:
        await story.end()
        world.close()
    return story


@pytest.mark.looptime
@pytest.mark.parametrize("kind", FAULT_KINDS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_whatever_goes_wrong_once(
    scenario: Scenario, kind: FaultKind, tmp_path: Path, record_property: Record
) -> None:
    plain = await run(scenario, tmp_path / "plain")
    calls = plain.calls
    assert calls > 3
    struck: Counter[str] = Counter()
    # In every run each call is struck; by every kind of fault only in `make soak`, where the stride is 1.
    places = range(1 + FAULT_KINDS.index(kind) % STRIDE, calls + 1, STRIDE)
    for at in places:
        fault = Fault(at, kind)
        try:
            story = await run(scenario, tmp_path / str(at), [fault])
        except AssertionError as error:
            raise AssertionError(f"{scenario}, {fault} of {calls}: {error}") from error
        struck.update(operation for _, operation in story.driver.faults.struck)
        extra = story.creates - plain.creates
        assert extra <= scenario.most_extra_creates, f"{scenario}, {fault}: {extra} containers too many"
        if kind.startswith("crash"):
            assert story.lives == plain.lives + 1
    assert struck.total() == len(places) > 0
    record_property("faults", f"{scenario}: {kind} at {len(places)} of {calls} driver calls")
