"""Nothing is told that is not true any more, or that was never seen."""

import asyncio
import logging

import pytest

from e2e_controller.drivers.base import ContainerSpec, DriverError, Key

from .conftest import IMAGE, Client, Goal, Harness, document, eventually, key

WEB = Key("test", "Workload", "web")


async def ready(client: Client) -> bool:
    conditions = {c.type: c.status for c in (await client.get()).status.conditions}
    return conditions.get("Ready") == 1


async def test_not_ready_while_it_is_made_anew(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.hang("create")
    harness.driver.remove_behind_the_back(WEB)
    await eventually(lambda: harness.driver.calls.count("create test/Workload/web") == 2)
    assert not await ready(client)
    assert (await client.get()).status.summary == "Starting"
    harness.driver.release("create")
    await client.wait()


async def test_one_that_came_back_while_it_was_removed_is_not_ready_before_it_is(
    client: Client, harness: Harness
) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.hang("remove")
    await client.delete(key())
    await eventually(lambda: "remove test/Workload/web" in harness.driver.calls)
    await client.apply(document())
    harness.driver.hang("create")
    harness.driver.release("remove")
    await eventually(lambda: harness.driver.calls.count("create test/Workload/web") == 2)
    waiting = asyncio.create_task(client.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    harness.driver.release("create")
    await waiting
    assert harness.driver.container(WEB).lives


async def test_a_wait_after_new_defaults_is_about_the_new_container(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    first = harness.driver.container(WEB).view.id
    await client.apply(document("test", "Environment", labels={"team": "a"}))
    await client.wait()
    assert harness.driver.container(WEB).view.id != first


async def test_a_deletion_makes_nothing_anew_without_the_environments_defaults(
    client: Client, harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await client.apply(document("test", "Environment", labels={"team": "a"}), document())
    await client.wait()
    await client.delete(key("test", kind="Environment"))
    await eventually(lambda: not harness.engine.containers)
    assert "nobody wants it" in caplog.text
    assert "its spec changed" not in caplog.text


async def test_what_nobody_wants_goes_though_it_was_made_just_now(client: Client, harness: Harness) -> None:
    ghost = Key("test", "Workload", "ghost")
    await harness.driver.create(ghost, ContainerSpec(IMAGE), "hash")
    await eventually(lambda: "remove test/Workload/ghost" in harness.driver.calls, timeout=30)  # no resync


async def test_a_look_that_fails_says_nothing_of_the_container(client: Client, harness: Harness) -> None:
    await client.apply(document(ports={"http": 80}))
    await client.wait()
    before = (await client.get()).status
    harness.driver.fail("inspect", DriverError("500 from the engine"), times=1000)
    for _ in range(3):
        await harness.manager._upkeep.enqueue_all()
        await eventually(lambda: harness.manager._queue.idle)
    after = (await client.get()).status
    assert after.endpoints == before.endpoints
    assert after.container == before.container
    assert await ready(client)
    assert "500 from the engine" in after.progress


@pytest.mark.parametrize("trouble", ["start fails once", "another controller"])
async def test_a_stopped_one_runs_again_whatever_happens_in_between(harness: Harness, trouble: str) -> None:
    file = harness.write("test/web.json", document(state="Running"))
    async with harness.running() as client:
        await client.wait()
        harness.write("test/web.json", document(state="Stopped"))
        await client.wait(goal=Goal.WAIT_GOAL_STOPPED)
        first = harness.driver.container(WEB).view.id
        if trouble == "start fails once":
            harness.driver.fail("start", DriverError("not now"))
            harness.write("test/web.json", document(state="Running"))
            await client.wait()
    harness.write("test/web.json", document(state="Running"))
    async with harness.running() as client:
        await client.wait()
        assert harness.driver.container(WEB).view.id == first
        assert harness.driver.container(WEB).lives
    assert file.exists()


async def test_back_to_running_while_it_is_being_stopped(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.hang("stop")
    await client.apply(document(state="Stopped"))
    await eventually(lambda: "stop test/Workload/web" in harness.driver.calls)
    await client.apply(document())
    harness.driver.release("stop")
    await client.wait()
    await eventually(lambda: harness.driver.container(WEB).lives)


async def test_a_full_look_that_fails_is_done_again(harness: Harness) -> None:
    harness.write("test/web.json", document())
    async with harness.running(resync_interval=3600) as client:
        await client.wait()
        first = harness.driver.container(WEB).view.id
        harness.driver.fail("list_containers", DriverError("not now"), times=2)
        harness.engine.containers.clear()  # without an event
        harness.driver.break_events()
        await eventually(lambda: harness.engine.containers and harness.driver.container(WEB).view.id != first)


async def test_a_bug_of_ours_is_told_to_who_waits(
    client: Client, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(harness.driver, "create", broken)
    await client.apply(document())
    with pytest.raises(Exception, match="ZeroDivisionError: by zero") as failed:
        await client.wait()
    assert failed.value.reason == "InternalError"  # type: ignore[attr-defined]
    monkeypatch.undo()
    await eventually(lambda: harness.engine.containers)
    await eventually(lambda: harness.manager._queue.idle)
    await client.wait()


async def test_at_rest_a_resync_is_lists_alone(harness: Harness) -> None:
    harness.write("test/web.json", document(), document("stopped", state="Stopped"), document("job", "Job"))
    async with harness.running(resync_interval=0.05) as client:
        await client.wait()
        await eventually(lambda: harness.manager._queue.idle)
        # Once: the log of what may still end badly is followed.
        await eventually(lambda: "logs test/Job/job" in harness.driver.calls)
        for _ in range(5):  # events of the starts may still come
            before = len(harness.driver.calls)
            await eventually(lambda before=before: harness.driver.calls[before:].count("list_containers") > 3)
            made = {call.partition(" ")[0] for call in harness.driver.calls[before:]}
            if made == {"list_containers", "list_environments"}:
                break
        assert made == {"list_containers", "list_environments"}


@pytest.mark.parametrize("loss", ["an end", "a container", "a network", "a rename"])
async def test_a_resync_finds_what_no_event_told_of(harness: Harness, loss: str) -> None:
    harness.write("test/web.json", document(restartPolicy="Always"))
    async with harness.running(resync_interval=0.05) as client:
        await client.wait()
        first = harness.driver.container(WEB).view
        harness.engine.followers.clear()
        match loss:
            case "an end":
                harness.driver.exit(WEB, 1)
            case "a container":
                harness.engine.containers.clear()
            case "a network":
                harness.engine.networks.clear()
            case "a rename":
                harness.driver.rename_behind_the_back(WEB, "elsewhere")
        again = await eventually(
            lambda: next(
                (
                    c.view
                    for c in harness.engine.containers.values()
                    if c.lives and (c.view.id, c.view.started_at) != (first.id, first.started_at)
                ),
                None,
            )
        )
        assert (again.id == first.id) == (loss == "an end")
        await eventually(lambda: list(harness.engine.containers) == ["test.web"])
