"""Who arrives while an environment ends, and the `ttl` of environments that nobody holds."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e_api.errors import WaitTimeout
from e2e_api.v1 import environment_service_pb2 as pb
from e2e_controller.marks import Mark, Marks
from e2e_controller.objects import environment_key

from .conftest import Client, Harness, checked, document, eventually, key


def hold(client: Client) -> Any:
    return client.environments.Hold(pb.HoldRequest(environment="test"))


def workloads(harness: Harness) -> int:
    return len(harness.manager._store.select("test", "Workload"))


def is_being_deleted(harness: Harness) -> bool:
    return any(object_.deleting for object_ in harness.manager._store.select("test"))


async def begin_end(client: Client, harness: Harness, count: int) -> None:
    """An environment whose last holder has just gone, and of which some is deleted already."""
    await client.apply(*[document(f"w{number}") for number in range(count)])
    await client.wait(*(key(f"w{number}") for number in range(count)))
    first = hold(client)
    await first.read()
    first.cancel()
    while not is_being_deleted(harness):  # noqa: ASYNC110 - it must be seen in the midst of it
        await asyncio.sleep(0)


async def ends_of(client: Client) -> tuple[datetime, str] | None:
    answer = await checked(client.environments.ListEnvironments(pb.ListEnvironmentsRequest(), timeout=60))
    for found in answer.environments:
        if found.HasField("ends"):
            return found.ends.ToDatetime(tzinfo=UTC), found.end_cause
    return None


async def until_ends(client: Client) -> tuple[datetime, str]:
    return await until_ends_but(client, None)


async def until_ends_but(client: Client, other: datetime | None) -> tuple[datetime, str]:
    async with asyncio.timeout(60):
        while True:
            found = await ends_of(client)
            if found is not None and found[0] != other:
                return found
            await asyncio.sleep(0.01)


async def test_who_holds_it_while_it_ends_begins_anew(client: Client, harness: Harness) -> None:
    await begin_end(client, harness, 40)
    second = hold(client)
    await second.read()
    assert workloads(harness) == 0
    await client.apply(document())
    await client.wait()
    assert list(harness.engine.containers) == ["test.web"]
    second.cancel()
    await eventually(lambda: not harness.engine.networks)


async def test_several_who_hold_it_while_it_ends_share_what_comes_then(
    client: Client, harness: Harness
) -> None:
    await begin_end(client, harness, 20)
    calls = [hold(client) for _ in range(5)]

    async def work(number: int) -> None:
        await calls[number].read()
        await client.apply(document(f"new{number}"))

    await asyncio.gather(*(work(number) for number in range(5)))
    await client.wait(*(key(f"new{number}") for number in range(5)))
    assert sorted(harness.engine.containers) == [f"test.new{number}" for number in range(5)]
    for call in calls:
        call.cancel()
    await eventually(lambda: not harness.engine.networks)


async def test_who_leaves_while_it_waits_for_the_end_does_not_stop_it(
    client: Client, harness: Harness
) -> None:
    harness.driver.hang("remove")
    await begin_end(client, harness, 20)
    second = hold(client)
    reading = asyncio.create_task(second.read())
    await eventually(lambda: harness.manager._leases.count("test") == 1)
    second.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    harness.driver.release("remove")
    await eventually(lambda: not harness.engine.networks)
    await eventually(lambda: not list((harness.state / "leases").iterdir()))
    assert not (harness.state / "manifests" / "test").exists()


async def test_an_end_that_never_comes_is_told(
    client: Client, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2e_controller.deletions.LEFTOVERS_SECONDS", 0.2)
    harness.driver.hang("remove")
    await begin_end(client, harness, 1)
    with pytest.raises(WaitTimeout, match=r"environment test is not gone after 0.2 s: test/Workload/w0"):
        await checked(hold(client).read())
    harness.driver.release("remove")
    await eventually(lambda: not harness.engine.networks)


async def test_files_of_a_new_holder_outlive_the_removal_of_the_old_directory(
    client: Client, harness: Harness
) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.hang("remove_tree")
    await client.delete(key())
    await eventually(lambda: any(call.startswith("remove_tree") for call in harness.driver.calls))
    # It is wanted again by somebody who holds nothing, so that who holds it need not wait.
    await client.apply(document())
    second = hold(client)
    granted = await second.read()
    file = Path(granted.shared_directory) / "data.txt"
    file.write_text("mine")
    harness.driver.release("remove_tree")
    await client.wait()
    assert file.read_text() == "mine"
    assert [path.name for path in (harness.state / "environments").iterdir()] == ["test"]
    second.cancel()


async def test_a_removal_of_a_directory_that_was_cut_off_is_done_at_the_next_start(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document())
        await client.wait()
        harness.driver.hang("remove_tree")
        await client.delete(key())
        await eventually(lambda: any(call.startswith("remove_tree") for call in harness.driver.calls))
    assert list((harness.state / "environments").iterdir())
    async with harness.running():
        await eventually(lambda: not list((harness.state / "environments").iterdir()))


async def test_a_ttl_in_a_folder_that_comes_while_it_runs(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document())
        await client.wait()
        file = harness.write("test/env.json", document("test", "Environment", ttl="300ms"))
        harness.write("test/own.json", document("own"))
        await client.wait(key("own"))
        await eventually(lambda: list(harness.engine.containers) == ["test.own"])
        assert file.exists()
        # What is applied afterwards has its own time.
        began = time.monotonic()
        await client.apply(document("later"))
        await eventually(lambda: harness.sample("e2e_evictions_total") == 2)
        assert time.monotonic() - began >= 0.3
        await eventually(lambda: list(harness.engine.containers) == ["test.own"])


async def test_a_ttl_has_nothing_to_end_where_only_files_define(harness: Harness) -> None:
    async with harness.running() as client:
        harness.write("test/all.json", document("test", "Environment", ttl="1h"), document())
        await client.wait()
        assert await ends_of(client) is None
        assert harness.manager._leases.idle
        await client.apply(document("mine"))
        await until_ends(client)


async def test_a_restart_does_not_begin_a_ttl_anew(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document("test", "Environment", ttl="1h"), document())
        first = await until_ends(client)
    async with harness.running() as client:
        assert await until_ends(client) == first
    since = first[0] - timedelta(hours=2)
    Marks(harness.state / "leases").write("test", Mark(since=since, cause=first[1]))
    async with harness.running():
        await eventually(lambda: not harness.engine.networks)
        await eventually(lambda: not list((harness.state / "leases").iterdir()))


async def test_what_changes_while_the_controller_ends_does_not_begin_a_ttl_anew(
    client: Client, harness: Harness
) -> None:
    """Else the next one would take the time from the end of this one."""
    await client.apply(document("test", "Environment", ttl="1h"))
    await until_ends(client)
    harness.manager._store.renew(environment_key("test"))
    await harness.manager._leases.close()
    await asyncio.sleep(0.1)
    assert harness.manager._leases.planned_end("test") is None


async def test_another_ttl_counts_from_the_same_moment(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document("test", "Environment", ttl="1h"), document())
        hour, _ = await until_ends(client)
    async with harness.running() as client:
        await client.apply(document("test", "Environment", ttl="2h"))
        assert (await until_ends_but(client, hour))[0] - hour == timedelta(hours=1)
        await client.apply(document("test", "Environment", ttl="1ms"))
        await eventually(lambda: not harness.engine.networks)


async def test_what_is_kept_ends_by_a_ttl_that_comes_later(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document("test", "Environment", ttl="1h"), document())
        first = client.environments.Hold(pb.HoldRequest(environment="test", keep=True))
        await first.read()
        await client.wait()
        first.cancel()
        assert (await until_ends(client))[1] == "its client asked to keep it"
        await client.apply(document("test", "Environment", ttl="1ms"))
        await eventually(lambda: not harness.engine.networks)


async def test_an_environment_that_goes_takes_its_planned_end_with_it(
    client: Client, harness: Harness
) -> None:
    await client.apply(document("test", "Environment", ttl="1h"))
    await until_ends(client)
    assert list((harness.state / "leases").iterdir())
    await client.apply(document("test", "Environment"))
    await eventually(lambda: harness.manager._leases.idle)
    await eventually(lambda: not list((harness.state / "leases").iterdir()))
