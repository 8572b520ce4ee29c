"""What applying does beside writing: in which order, and what it means for what is there already."""

import pytest

from e2e_api.errors import E2EError
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_controller.drivers.base import DriverError, Key
from e2e_controller.drivers.fake.engine import FakeImage

from .conftest import Client, Goal, Harness, checked, document, eventually, key

JOB = Key("test", "Job", "migrate")
MIGRATE = key("migrate", kind="Job")


async def test_an_environment_counts_before_its_workloads(client: Client, harness: Harness) -> None:
    names = [f"w{number}" for number in range(5)]
    response = await client.apply(*map(document, names), document("test", "Environment", labels={"a": "b"}))
    assert [found.key.name for found in response.objects] == [*names, "test"]
    await client.wait(*map(key, names))
    await eventually(lambda: harness.manager._queue.idle)
    assert sum(change.startswith("create ") for change in harness.driver.changes) == len(names)


async def test_a_dependency_counts_before_what_depends_on_it(client: Client, harness: Harness) -> None:
    web, db = document(dependsOn=[{"name": "db"}]), document("db")
    await client.apply(web, db)
    await client.wait(key(), key("db"))
    before = len(harness.driver.changes)
    harness.driver.hang("start")
    await client.apply(document(dependsOn=[{"name": "db"}], env={"A": "1"}), document("db", env={"A": "1"}))
    await eventually(lambda: "start test/Workload/db" in harness.driver.changes[before:])
    harness.driver.release("start")
    await client.wait(key(), key("db"))
    creations = [change for change in harness.driver.changes[before:] if change.startswith("create ")]
    assert creations == ["create test/Workload/db", "create test/Workload/web"]


async def test_what_failed_is_tried_at_once_when_it_is_applied_again(
    client: Client, harness: Harness
) -> None:
    web, user = document(image="mine:1"), document("user", dependsOn=[{"name": "web"}])
    await client.apply(web, user)
    with pytest.raises(E2EError, match="mine:1"):
        await client.wait()
    with pytest.raises(E2EError, match="DependencyFailed"):
        await client.wait(key("user"))
    harness.engine.images["mine:1"] = FakeImage()  # as a person would, who has read that
    response = await client.apply(user, web)
    assert [found.action for found in response.objects] == [pb.APPLY_ACTION_UNCHANGED] * 2
    await client.wait(key(), key("user"), timeout=40)  # at once, not after a minute
    assert response.objects[1].generation == (await client.get()).generation


async def test_an_environment_that_failed_is_tried_at_once_too(client: Client, harness: Harness) -> None:
    refused = DriverError("the network e2e-test belongs to somebody else", retry=False)
    harness.driver.fail("ensure_network", refused)
    await client.apply(document())
    for failed in (key("test", kind="Environment"), key()):
        with pytest.raises(E2EError, match="somebody else"):
            await client.wait(failed)
    await client.apply(document())
    await client.wait(timeout=40)


async def test_what_is_well_is_left_alone_when_it_is_applied_again(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    before = (await client.get()).generation
    await client.apply(document())
    assert (await client.get()).generation == before


async def test_a_job_that_ran_again_does_not_run_a_third_time(client: Client, harness: Harness) -> None:
    async def ends(times: int) -> None:
        await eventually(lambda: starts() == times and harness.driver.container(JOB).lives)
        harness.driver.exit(JOB, 0)
        await client.wait(MIGRATE, goal=Goal.WAIT_GOAL_COMPLETED)

    def starts() -> int:
        return sum(call == "start test/Job/migrate" for call in harness.driver.changes)

    job = document("migrate", "Job")
    await client.apply(job)
    await ends(1)
    await checked(client.manifests.RunJob(pb.RunJobRequest(key=MIGRATE), timeout=60))
    await ends(2)
    (planned,) = (await client.apply(job, dry_run=True)).objects
    assert (planned.action, list(planned.plan)) == (pb.APPLY_ACTION_UNCHANGED, [])
    assert (await client.apply(job)).objects[0].action == pb.APPLY_ACTION_UNCHANGED
    await eventually(lambda: harness.manager._queue.idle)
    assert starts() == 2
    await client.apply(document("migrate", "Job", runId="another"))
    await ends(3)
