"""Questions over networks that this process has to be in first."""

import asyncio

import pytest

from e2e_controller.drivers.base import DriverError
from e2e_controller.probes.checks import Answer, PolledCheck, ReachedCheck


class Asked(PolledCheck):
    request = "GET /"
    rest = 3.0

    async def attempt(self) -> Answer:
        return Answer(True, "200 OK")


async def test_the_network_is_joined_before_anything_is_asked() -> None:
    joined = asyncio.Event()

    async def reach() -> None:
        await joined.wait()

    check = ReachedCheck(Asked(), reach)
    assert (check.request, check.rest) == ("GET /", 3.0)
    attempt = asyncio.create_task(check.attempt())
    await asyncio.sleep(0)
    assert not attempt.done()
    joined.set()
    assert await attempt == Answer(True, "200 OK")


async def test_a_network_that_cannot_be_joined_is_the_answer() -> None:
    async def reach() -> None:
        raise DriverError("the engine says no")

    assert await ReachedCheck(Asked(), reach).attempt() == Answer(False, "the engine says no")


@pytest.mark.looptime
async def test_it_is_tried_again() -> None:
    fails = [True, False]

    async def reach() -> None:
        if fails.pop(0):
            raise DriverError("not yet")

    check = ReachedCheck(Asked(), reach)
    assert [(await check.attempt()).ready for _ in range(2)] == [False, True]
