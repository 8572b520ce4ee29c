"""What happens to a plan while the world changes under it, on the driver in memory."""

import asyncio

import pytest

from e2e_api.errors import WaitFailed
from e2e_controller.drivers.base import DriverError, Key

from .conftest import Client, Goal, Harness, document, eventually, key

WEB = Key("test", "Workload", "web")
OTHER = Key("test", "Workload", "other")
JOB = Key("test", "Job", "migrate")
PORT = {"http": {"containerPort": 80, "hostPort": 8080}}
GONE = Goal.WAIT_GOAL_DELETED


async def failure(client: Client, name: str = "web") -> WaitFailed:
    with pytest.raises(WaitFailed) as caught:
        await client.wait(key(name))
    return caught.value


async def test_a_pull_that_nobody_wants_any_more_ends(client: Client, harness: Harness) -> None:
    harness.driver.hang("pull")
    await client.apply(document(image="far:1"))
    await eventually(lambda: "pull far:1" in harness.driver.calls)
    await client.delete(key())
    await client.wait(goal=GONE)
    assert not [call for call in harness.driver.calls if call.startswith("create")]


async def test_another_image_is_pulled_without_waiting_for_it(client: Client, harness: Harness) -> None:
    harness.driver.hang("pull")
    await client.apply(document(image="far:1"))
    await eventually(lambda: "pull far:1" in harness.driver.calls)
    await client.apply(document())
    await client.wait()
    assert harness.driver.container(WEB).view.image == "busybox:1.36"


async def test_what_it_depends_on_may_end_during_its_pull(client: Client, harness: Harness) -> None:
    await client.apply(document("other", restartPolicy="Never"))
    await client.wait(key("other"))
    harness.driver.pullable.add("far:1")
    harness.driver.hang("pull")
    await client.apply(document(image="far:1", dependsOn=[{"name": "other"}]))
    await eventually(lambda: "pull far:1" in harness.driver.calls)
    await harness.end(OTHER, 1)
    with pytest.raises(WaitFailed):
        await client.wait(key("other"))
    harness.driver.release("pull")
    assert (await failure(client)).reason == "DependencyFailed"
    assert "create test/Workload/web" not in harness.driver.calls


async def test_a_host_port_of_one_that_goes_is_waited_for(client: Client, harness: Harness) -> None:
    await client.apply(document("other", ports=PORT))
    await client.wait(key("other"))
    harness.driver.hang("remove")
    await client.delete(key("other"))
    await eventually(lambda: any(call.startswith("remove ") for call in harness.driver.calls))
    await client.apply(document(ports=PORT))
    waiting = asyncio.create_task(client.wait())
    await eventually(lambda: "start test/Workload/web" in harness.driver.calls)
    await asyncio.sleep(0.05)
    assert not waiting.done()  # a port that was taken for good would have ended it
    harness.driver.release("remove")
    await waiting


async def test_a_host_port_that_is_let_go_is_taken_at_once(client: Client, harness: Harness) -> None:
    await client.apply(document("other", ports=PORT))
    await client.wait(key("other"))
    await client.apply(document(ports=PORT))
    assert (await failure(client)).reason == "PortTaken"
    await client.delete(key("other"))
    await client.wait(key("other"), goal=GONE)
    await client.wait(goal=Goal.WAIT_GOAL_RUNNING)


async def test_why_there_is_no_network_is_told_of_what_waits_for_it(client: Client, harness: Harness) -> None:
    harness.driver.fail("ensure_network", DriverError("the address pool is empty", retry=False))
    await client.apply(document())
    error = await failure(client)
    assert "the address pool is empty" in str(error)


async def test_a_job_whose_retry_was_interrupted_goes_on_counting(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document("migrate", "Job", retries=3))
        await eventually(lambda: "start test/Job/migrate" in harness.driver.calls)
        await eventually(lambda: harness.driver.container(JOB).lives)
        harness.driver.hang("create")
        harness.driver.exit(JOB, 1)
        await eventually(lambda: any(call.startswith("remove ") for call in harness.driver.calls))
        await eventually(lambda: harness.driver.calls.count("create test/Job/migrate") == 2)
    async with harness.running() as client:
        await eventually(lambda: "start test/Job/migrate" in harness.driver.calls)
        assert harness.driver.container(JOB).view.attempt == 1


async def test_what_depends_on_a_rejected_manifest_fails_at_once(client: Client, harness: Harness) -> None:
    harness.write("test/other.yaml", document("other", nonsense=1))
    await client.apply(document(dependsOn=[{"name": "other"}]))
    assert "other was rejected" in str(await failure(client))
