"""Deaths that events tell of before anybody can look."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e_controller.drivers.base import Container, ContainerPhase, DriverError, Key
from e2e_controller.drivers.docker.deaths import Deaths
from e2e_controller.drivers.docker.events import Events
from e2e_controller.drivers.docker.known import Known

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = NOW + timedelta(seconds=5)
KEY = Key("env", "Workload", "web")
RUNNING = Container(
    "id", KEY, "hash", "busybox", ContainerPhase.RUNNING, NOW, started_at=NOW, address="10.0.0.2"
)
DEAD = replace(RUNNING, phase=ContainerPhase.EXITED, finished_at=END, exit_code=3, address="")


async def take(deaths: Deaths) -> Container | None:
    """What is told without a look; None where one is needed."""

    async def look() -> None:
        return None

    return await deaths.first(KEY, look())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deaths(clock: Clock) -> Deaths:
    deaths = Deaths(clock)
    deaths.saw(RUNNING, limited=False)
    return deaths


async def test_what_was_seen_running_and_died_is_known_once(deaths: Deaths) -> None:
    assert await take(deaths) is None
    deaths.died(KEY, "id", 3, END)
    assert await take(deaths) == DEAD
    assert await take(deaths) is None
    assert DEAD.is_same_end(replace(DEAD, finished_at=END + timedelta(seconds=1)))


async def test_old_news_is_none(deaths: Deaths, clock: Clock) -> None:
    deaths.died(KEY, "id", 3, END)
    clock.now = 1.5
    assert await take(deaths) is None


async def test_why_it_died_at_its_memory_limit_is_for_the_engine_to_say(deaths: Deaths) -> None:
    deaths.saw(RUNNING, limited=True)
    deaths.died(KEY, "id", 137, END)
    assert await take(deaths) is None


async def test_who_was_not_seen_since_its_start_is_looked_at(deaths: Deaths) -> None:
    deaths.forget("id")
    deaths.died(KEY, "id", 3, END)
    assert await take(deaths) is None


async def test_who_was_started_again_or_removed_is_not_dead(deaths: Deaths) -> None:
    deaths.died(KEY, "id", 3, END)
    deaths.forget("id")
    assert await take(deaths) is None


async def test_a_later_look_counts_for_more(deaths: Deaths) -> None:
    deaths.died(KEY, "id", 3, END)
    deaths.saw(RUNNING, limited=False)
    assert await take(deaths) is None


async def test_a_look_that_hangs_is_given_up_by_all_who_look(deaths: Deaths) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    looks = [asyncio.create_task(deaths.first(KEY, hang())) for _ in range(3)]
    await asyncio.sleep(0)
    deaths.died(KEY, "id", 3, END)
    assert await asyncio.gather(*looks) == [DEAD] * 3
    assert await take(deaths) is None


async def test_who_looks_no_more_ends_the_look(deaths: Deaths) -> None:
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    look = asyncio.create_task(deaths.first(KEY, hang()))
    await asyncio.sleep(0.01)
    look.cancel()
    await ended.wait()


async def test_what_the_look_raises_is_raised(deaths: Deaths) -> None:
    async def fail() -> None:
        raise DriverError("broken")

    with pytest.raises(DriverError, match="broken"):
        await deaths.first(KEY, fail())


async def test_after_missed_events_nothing_is_known(deaths: Deaths) -> None:
    deaths.clear()
    deaths.died(KEY, "id", 3, END)
    assert await take(deaths) is None


@pytest.mark.parametrize(
    ("code", "nanoseconds", "known"),
    [("3", int(END.timestamp() * 1e9), True), ("x", 1, False), (None, 1, False), ("3", "x", False)],
)
async def test_only_an_event_that_makes_sense_is_believed(
    deaths: Deaths, code: str | None, nanoseconds: Any, known: bool
) -> None:
    labels = {"io.e2e.controller": "me", "io.e2e.environment": "env", "io.e2e.kind": "Workload"}
    attributes = labels | {"io.e2e.name": "web"} | ({} if code is None else {"exitCode": code})
    actor = {"ID": "id", "Attributes": attributes}
    document = {"Type": "container", "Action": "die", "Actor": actor, "timeNano": nanoseconds}
    event = Events(None, Known(), deaths, "me")._translate(document)  # type: ignore[arg-type]
    assert event is not None
    assert event.action == "die"
    assert await take(deaths) == (DEAD if known else None)
