import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import docker
import pytest

from e2e_controller.drivers.base import ContainerEvent
from e2e_controller.drivers.docker import containers
from e2e_controller.drivers.fake import FakeDriver
from tests.contract.bench import Bench


class Following:
    """Events as they come, with the moment of their arrival."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, ContainerEvent]] = []
        self._news = asyncio.Event()

    def add(self, event: ContainerEvent) -> None:
        self.seen.append((time.monotonic(), event))
        self._news.set()

    async def until(self, holds: Callable[[ContainerEvent], bool], within: float = 60) -> float:
        """When the first one came for which that holds."""
        async with asyncio.timeout(within):
            while True:
                for moment, event in self.seen:
                    if holds(event):
                        return moment
                self._news.clear()
                await self._news.wait()

    def actions(self, bench: Bench, name: str = "web") -> list[str]:
        return [event.action for _, event in self.seen if event.key == bench.key(name)]


@asynccontextmanager
async def following(bench: Bench) -> AsyncIterator[Following]:
    found = Following()

    async def follow() -> None:
        async for event in bench.driver.events():
            found.add(event)

    task = asyncio.create_task(follow())
    try:
        await found.until(lambda event: event == ContainerEvent(None, "connected"))
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_action(action: str) -> Callable[[ContainerEvent], bool]:
    return lambda event: event.action == action


async def test_a_life_in_events(bench: Bench) -> None:
    async with following(bench) as found:
        container_id = await bench.up()
        await bench.driver.pause(container_id)
        await bench.driver.unpause(container_id)
        await bench.driver.stop(container_id, 0)
        await bench.driver.remove(container_id)
        await found.until(is_action("destroy"))
        wanted = ("create", "start", "pause", "unpause", "die", "destroy")
        # The engine may tell of a pause and its end once more, if both are over before it looks.
        assert [action for action in dict.fromkeys(found.actions(bench)) if action in wanted] == list(wanted)


async def test_events_come_at_once(bench: Bench) -> None:
    async def seconds_after_the_call(name: str) -> float:
        async with following(bench) as found:
            container_id = await bench.create(name)
            await bench.driver.start_container(container_id)
            started = time.monotonic()
            return await found.until(is_action("start")) - started

    for number in range(20):
        late = await seconds_after_the_call(f"web-{number}")
        if late < 0.05:  # the engine tells it before it answers the call
            break
    assert late < 0.05, "not once, which is more than a busy machine"


async def test_only_ours(bench: Bench) -> None:
    other = await bench.other()
    async with following(bench) as found:
        await bench.driver.ensure_network(bench.environment)
        foreign = await other.create(bench.key("theirs"), bench.spec(), "hash")
        await other.remove(foreign)
        await bench.create("ours")
        await found.until(lambda event: event.key == bench.key("ours"))
        assert found.actions(bench, "theirs") == []


async def test_two_may_follow(bench: Bench) -> None:
    async with following(bench) as first, following(bench) as second:
        await bench.create()
        await first.until(is_action("create"))
        await second.until(is_action("create"))


async def test_leaving_events(bench: Bench) -> None:
    events = aiter(bench.driver.events())
    assert await anext(events) == ContainerEvent(None, "connected")
    await events.aclose()  # type: ignore[attr-defined]
    await bench.create()


async def test_a_signal_of_its_own_and_an_end(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    """What others do to our containers is told like what we do."""
    async with following(docker_bench) as found:
        container_id = await docker_bench.up()
        await asyncio.to_thread(docker_client.kill, container_id, "SIGKILL")
        await found.until(is_action("die"))
        assert "die" in found.actions(docker_bench)
        await asyncio.to_thread(docker_client.remove_container, container_id)
        await found.until(is_action("destroy"))


async def test_a_death_is_known_as_it_is_told(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    async with following(docker_bench) as found:
        await docker_bench.up(command=("sh", "-c", "sleep 1; exit 3"))
        running = await docker_bench.look()
        await found.until(is_action("die"))
        told = await docker_bench.look()
        await found.until(is_action("network_disconnect"))
        looked = await docker_bench.look()
        assert looked.exit_code == 3
        assert looked.started_at == running.started_at
        assert told == replace(looked, finished_at=told.finished_at)
        assert told.is_same_end(looked)


async def test_taken_out_of_the_network(docker_bench: Bench, docker_client: docker.APIClient) -> None:
    network = containers.network_name(docker_bench.environment)
    async with following(docker_bench) as found:
        container_id = await docker_bench.up()
        await asyncio.to_thread(docker_client.disconnect_container_from_network, container_id, network)
        await found.until(is_action("network_disconnect"))
        assert "network_disconnect" in found.actions(docker_bench)
        assert (await docker_bench.look()).network_id == ""
        await docker_bench.driver.remove(container_id)
        await asyncio.to_thread(docker_client.remove_network, network)
        await found.until(is_action("network_destroy"))
        environment = docker_bench.key().__class__(
            docker_bench.environment, "Environment", docker_bench.environment
        )
        assert found.seen[-1][1] == ContainerEvent(environment, "network_destroy")


async def test_execs_make_no_events(docker_bench: Bench) -> None:
    async with following(docker_bench) as found:
        container_id = await docker_bench.up()
        await docker_bench.run(container_id, "true")
        await docker_bench.driver.remove(container_id)
        await found.until(is_action("destroy"))
        assert not [action for action in found.actions(docker_bench) if "exec" in action]


async def test_the_fake_can_break_its_stream(fake_bench: Bench) -> None:
    assert isinstance(fake_bench.driver, FakeDriver)
    async with following(fake_bench) as found:
        fake_bench.driver.break_events()
        await found.until(lambda event: event == ContainerEvent(None, "reconnected"))
        await fake_bench.create()
        await found.until(is_action("create"))


@pytest.mark.parametrize("count", [30])
async def test_many_events_in_order(docker_bench: Bench, count: int) -> None:
    async with following(docker_bench) as found:
        for _ in range(count):
            await docker_bench.driver.remove(await docker_bench.create())
        await docker_bench.create("last")
        await found.until(lambda event: event.key == docker_bench.key("last"))
        assert found.actions(docker_bench) == ["create", "destroy"] * count
