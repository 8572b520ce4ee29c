"""A file that does not parse may be half written: whoever waits is told soon, but not at once."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest

from e2e_api.conditions import Reason
from e2e_api.errors import WaitFailed
from e2e_api.v1 import wait_service_pb2 as pb
from e2e_controller.drivers.base import Key
from e2e_controller.objects import Object, Rejection, Source
from e2e_controller.server import wait_service
from e2e_controller.server.wait_service import _Wait

from .conftest import Client, Harness, document

WEB = Key("test", "Workload", "web")
BUDGET = 0.1
"""Seconds within which whoever waits in vain has to know."""


def refused(reason: Reason) -> Object:
    return Object(WEB, rejection=Rejection(reason, "line 1: expected a mapping", Source("/f/web.yaml")))


class Waiter:
    """A wait for one object, whose changes the test tells."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        access: Any = SimpleNamespace(store=self.objects)
        self.wait = _Wait(access, {WEB: None}, pb.WAIT_GOAL_READY, limit=600.0)

    async def hears(self, object_: Object) -> None:
        """As the service does for each change. Raises `WaitFailed`."""
        self.objects[WEB] = object_
        self.wait.look(WEB)
        self.wait.raise_if_impossible()

    async def hears_nothing(self) -> None:
        """Waits until the wait looks again by itself. Raises `WaitFailed`."""
        for key_ in await self.wait.next_changes(asyncio.Event().wait()):
            self.wait.look(key_)
        self.wait.raise_if_impossible()


async def seconds_to_failure(work: Awaitable[None]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(WaitFailed):
        await work
    return loop.time() - began


@pytest.mark.looptime
async def test_what_is_rejected_is_told_at_once() -> None:
    assert await seconds_to_failure(Waiter().hears(refused(Reason.REJECTED))) == 0


@pytest.mark.looptime
async def test_what_does_not_parse_is_told_within_the_budget() -> None:
    waiter = Waiter()
    await waiter.hears(refused(Reason.PARSE_ERROR))
    assert 0 < await seconds_to_failure(waiter.hears_nothing()) < BUDGET


@pytest.mark.looptime
async def test_a_file_that_is_finished_meanwhile_was_no_failure() -> None:
    waiter = Waiter()
    await waiter.hears(refused(Reason.PARSE_ERROR))
    await asyncio.sleep(0.03)
    await waiter.hears(Object(WEB))
    await asyncio.sleep(BUDGET)
    # The next one has all its time again.
    await waiter.hears(refused(Reason.PARSE_ERROR))
    assert 0 < await seconds_to_failure(waiter.hears_nothing()) < BUDGET


async def test_a_file_written_in_two_goes(
    harness: Harness, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a shell: `head > web.yaml; tail >> web.yaml`, which the source sees as one change or as two."""
    monkeypatch.setattr(wait_service, "PARSE_GRACE", 20.0)  # a busy machine may stop between the two
    harness.write("test/web.yaml", document(readiness={"exec": {"command": ["never"]}}))
    await client.wait(goal=pb.WAIT_GOAL_RUNNING)
    waiting = asyncio.create_task(client.wait())
    file = harness.folder / "test" / "web.yaml"
    text = file.read_text()
    await asyncio.sleep(0.1)
    file.write_text(text[:-5])
    with file.open("a") as rest:
        rest.write(text[-5:])
    await asyncio.sleep(0.3)
    assert not waiting.done()
    monkeypatch.setattr(wait_service, "PARSE_GRACE", 0.05)
    file.write_text(text[:-5])
    with pytest.raises(WaitFailed, match=r"web\.yaml"):
        async with asyncio.timeout(30):  # a resync comes after a minute
            await waiting
