import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from e2e_controller.drivers.base import (
    ContainerGone,
    ContainerNotRunning,
    ContainerPhase,
    FileContent,
    Key,
)
from tests.contract import scripts
from tests.contract.bench import IMAGE, Bench, eventually, pieces

GONE = "0" * 64


async def test_a_container_that_is_not_there(bench: Bench) -> None:
    assert await bench.driver.inspect(bench.key()) is None


async def test_from_creation_to_removal(bench: Bench) -> None:
    container_id = await bench.create(spec_hash="abc")
    created = await bench.look()
    assert created.id == container_id
    assert created.key == bench.key()
    assert created.spec_hash == "abc"
    assert created.image == IMAGE
    assert created.phase is ContainerPhase.CREATED
    assert abs(created.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert (created.started_at, created.finished_at, created.exit_code) == (None, None, None)
    assert created.address == ""

    await bench.driver.start_container(container_id)
    running = await bench.look()
    assert running.phase is ContainerPhase.RUNNING
    assert running.started_at is not None
    assert running.started_at >= created.created_at
    assert (running.finished_at, running.exit_code) == (None, None)
    assert running.network_id == await bench.driver.inspect_network(bench.environment)
    assert running.address.startswith("10.201.")

    await bench.driver.stop(container_id, 0)
    stopped = await bench.look()
    assert stopped.phase is ContainerPhase.EXITED
    assert stopped.exit_code == 137
    assert stopped.finished_at is not None
    assert stopped.address == ""
    assert not stopped.oom_killed

    await bench.driver.remove(container_id)
    assert await bench.driver.inspect(bench.key()) is None


async def test_starts_again_as_the_same_container(bench: Bench) -> None:
    container_id = await bench.up()
    first = await bench.look()
    await bench.driver.stop(container_id, 0)
    await bench.driver.start_container(container_id)
    second = await bench.look()
    assert second.id == container_id
    assert second.phase is ContainerPhase.RUNNING
    assert first.started_at is not None
    assert second.started_at is not None
    assert second.started_at > first.started_at
    assert second.finished_at is None
    assert second.exit_code is None


async def test_ends_by_itself(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.BOTH_STREAMS.command)
    ended = await bench.ended()
    assert ended.exit_code == 3
    assert await bench.log(container_id) in (b"out\nerr\n", b"err\nout\n")


async def test_stop_asks_before_it_kills(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.TRAP.command)
    await eventually(lambda: bench.log(container_id), lambda text: b"ready" in text)
    began = time.monotonic()
    await bench.driver.stop(container_id, 100)
    assert time.monotonic() - began < 60
    assert (await bench.look()).exit_code == 7
    assert b"asked" in await bench.log(container_id)


async def test_stop_sends_the_signal_of_the_spec(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.END_ON_USR1.command, stop_signal="SIGUSR1")
    await eventually(lambda: bench.log(container_id), lambda text: b"ready" in text)
    await bench.driver.stop(container_id, 100)
    assert b"poked" in await bench.log(container_id)
    assert (await bench.look()).exit_code == 8


async def test_stop_kills_after_the_grace_period(docker_bench: Bench) -> None:
    container_id = await docker_bench.up()
    began = time.monotonic()
    await docker_bench.driver.stop(container_id, 0.5)
    assert 0.5 < time.monotonic() - began < 60
    assert (await docker_bench.look()).exit_code == 137


async def test_kill_sends_a_signal(bench: Bench) -> None:
    container_id = await bench.up(command=scripts.TRAP_USR1.command)
    await eventually(lambda: bench.log(container_id), lambda text: b"ready" in text)
    await bench.driver.kill(container_id, "SIGUSR1")
    await eventually(lambda: bench.log(container_id), lambda text: b"poked" in text)
    assert (await bench.look()).phase is ContainerPhase.RUNNING
    await bench.driver.kill(container_id)
    killed = await bench.look()
    assert (killed.phase, killed.exit_code) == (ContainerPhase.EXITED, 137)


async def test_pause_and_unpause(bench: Bench) -> None:
    container_id = await bench.up()
    for _ in range(2):
        await bench.driver.pause(container_id)
        assert (await bench.look()).phase is ContainerPhase.PAUSED
    for _ in range(2):
        await bench.driver.unpause(container_id)
        assert (await bench.look()).phase is ContainerPhase.RUNNING


@pytest.mark.parametrize("how", ["stop", "kill", "remove"])
async def test_a_paused_container_can_be_ended(bench: Bench, how: str) -> None:
    container_id = await bench.up()
    await bench.driver.pause(container_id)
    match how:
        case "stop":
            await bench.driver.stop(container_id, 0)
        case "kill":
            await bench.driver.kill(container_id)
        case "remove":
            await bench.driver.remove(container_id)
    found = await bench.driver.inspect(bench.key())
    assert found is None if how == "remove" else found is not None and found.exit_code == 137


async def test_repeating_is_no_error(bench: Bench) -> None:
    container_id = await bench.up()
    started = await bench.look()
    await bench.driver.start_container(container_id)
    assert await bench.look() == started
    for _ in range(2):
        await bench.driver.stop(container_id, 0)
    await bench.driver.kill(container_id)
    await bench.driver.kill(container_id, "SIGHUP")
    await bench.driver.unpause(container_id)
    for _ in range(2):
        await bench.driver.remove(container_id)


async def test_what_needs_a_running_container(bench: Bench) -> None:
    container_id = await bench.create()
    with pytest.raises(ContainerNotRunning, match="pause"):
        await bench.driver.pause(container_id)
    with pytest.raises(ContainerNotRunning, match="exec"):
        await bench.driver.exec(container_id, ["true"])
    await bench.driver.start_container(container_id)
    await bench.driver.pause(container_id)
    with pytest.raises(ContainerNotRunning):
        await bench.driver.exec(container_id, ["true"])
    with pytest.raises(ContainerNotRunning):
        await bench.driver.start_container(container_id)


async def test_a_container_that_is_gone(bench: Bench) -> None:
    driver = bench.driver
    for call in (
        driver.start_container(GONE),
        driver.stop(GONE, 0),
        driver.kill(GONE),
        driver.pause(GONE),
        driver.exec(GONE, ["true"]),
        driver.copy_in(GONE, "/", pieces(b"")),
        bench.log(GONE),
    ):
        with pytest.raises(ContainerGone):
            await call
    with pytest.raises(ContainerGone):
        _ = [piece async for piece in driver.copy_out(GONE, "/")]


async def test_a_list_agrees_with_a_look(bench: Bench) -> None:
    """So that a full look finds what no event told of, and nothing else."""
    container_id = await bench.up()
    await bench.create("fresh")
    await bench.up("ends", command=("true",))
    await bench.ended("ends")
    await bench.driver.pause(await bench.up("frozen"))
    listed = {found.key.name: found for found in await bench.driver.list_containers()}
    assert set(listed) == {"web", "fresh", "ends", "frozen"}
    looked = {name: await bench.look(name) for name in listed}
    assert all(found.is_as_known(looked[name]) for name, found in listed.items())
    before = await bench.look()
    await bench.driver.kill(container_id)
    (found,) = (found for found in await bench.driver.list_containers() if found.key.name == "web")
    assert not found.is_as_known(before)
    assert not found.is_as_known(None)


async def test_the_attempt_is_kept_with_the_container(bench: Bench) -> None:
    await bench.create(attempt=3)
    assert (await bench.look()).attempt == 3
    await bench.create("first")
    assert (await bench.look("first")).attempt == 0


async def test_removals_at_the_same_time(docker_bench: Bench) -> None:
    container_id = await docker_bench.up()
    await asyncio.gather(*(docker_bench.driver.remove(container_id) for _ in range(8)))
    assert await docker_bench.driver.inspect(docker_bench.key()) is None
    await docker_bench.create()


async def test_lists_the_keys_of_ours_only(bench: Bench) -> None:
    other = await bench.other()
    await bench.create("one")
    await bench.create("two")
    await other.create(bench.key("three"), bench.spec(), "hash")
    assert await bench.keys() == [bench.key("one"), bench.key("two")]
    assert [found.key for found in await other.list_containers()] == [bench.key("three")]


async def test_out_of_memory_is_told(docker_bench: Bench) -> None:
    hungry = ("sh", "-c", "x=$(head -c 128m /dev/zero | tr '\\0' x); echo $x")
    await docker_bench.up(command=hungry, memory=48 * 2**20)  # with less, runc itself may not come up
    ended = await docker_bench.ended()
    assert ended.oom_killed
    assert ended.exit_code == 137


async def test_a_restarted_driver_adopts(bench: Bench) -> None:
    container_id = await bench.up(spec_hash="abc")
    await bench.restart()
    found = await bench.look()
    assert (found.id, found.spec_hash, found.phase) == (container_id, "abc", ContainerPhase.RUNNING)
    assert await bench.keys() == [Key(bench.environment, "Workload", "web")]
    assert list(await bench.driver.list_environments()) == [bench.environment]


async def test_the_engines_own_words(bench: Bench) -> None:
    container_id = await bench.create(env={"A": "b"})
    found = await bench.driver.describe(container_id)
    assert found["Id"] == container_id
    assert "A=b" in found["Config"]["Env"]
    await bench.driver.remove(container_id)
    with pytest.raises(ContainerGone):
        await bench.driver.describe(container_id)


async def test_the_time_of_copying_is_told(bench: Bench) -> None:
    told: list[float] = []
    await bench.driver.ensure_network(bench.environment)
    began = time.monotonic()
    with_files = bench.spec(files=(FileContent("/etc/a", b"x"),))
    await bench.driver.create(bench.key("a"), with_files, "hash", told.append)
    await bench.driver.create(bench.key("b"), bench.spec(), "hash", told.append)
    assert len(told) == 1
    assert 0 <= told[0] <= time.monotonic() - began
