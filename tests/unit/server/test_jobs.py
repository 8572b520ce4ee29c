"""Jobs, what depends on them, and files that change, on the driver in memory."""

import pytest

from e2e_api.conditions import ConditionType
from e2e_api.errors import Conflict, InvalidArgument
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_controller.drivers.base import Key

from .conftest import Client, Goal, Harness, document, eventually, key
from .conftest import checked as checked_call

JOB = Key("test", "Job", "migrate")
WEB = Key("test", "Workload", "web")
A = Key("test", "Workload", "a")
COMPLETED = Goal.WAIT_GOAL_COMPLETED
MIGRATE = key("migrate", kind="Job")


def job(name: str = "migrate", **spec: object) -> dict[str, object]:
    return document(name, "Job", **spec)


async def running(harness: Harness, key_: Key, but: str = "") -> str:
    """Waits until a container of that key runs, another one than `but`; gives its id."""
    containers = harness.engine.containers
    return str(
        await eventually(
            lambda: next(
                (
                    c.view.id
                    for c in containers.values()
                    if c.view.key == key_ and c.lives and c.view.id != but
                ),
                None,
            )
        )
    )


async def rerun(client: Client, name: str = "migrate") -> None:
    await checked_call(client.manifests.RunJob(pb.RunJobRequest(key=key(name, kind="Job")), timeout=60))


async def test_a_job_runs_once_and_is_left_alone(client: Client, harness: Harness) -> None:
    await client.apply(job())
    first = await running(harness, JOB)
    harness.driver.exit(JOB, 0)
    await client.wait(MIGRATE, goal=COMPLETED)
    assert (await client.get("migrate", kind="Job")).status.summary == "Completed"
    await client.apply(job())
    await harness.manager._upkeep.enqueue_all()
    await eventually(lambda: harness.manager._queue.idle)
    assert harness.driver.container(JOB).view.id == first
    assert [c for c in harness.driver.changes if c.startswith("start")] == ["start test/Job/migrate"]


async def test_a_job_is_not_run_again_by_a_controller_that_is_started_again(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(job())
        await running(harness, JOB)
        harness.driver.exit(JOB, 0)
        await client.wait(MIGRATE, goal=COMPLETED)
    async with harness.running() as client:
        await client.wait(MIGRATE, goal=COMPLETED)
        assert not [c for c in harness.driver.changes if c.startswith(("start", "create", "remove"))]


async def test_a_job_that_fails_ends_the_wait_with_its_code(client: Client, harness: Harness) -> None:
    await client.apply(job())
    await running(harness, JOB)
    harness.driver.exit(JOB, 7, b"no such table\n")
    with pytest.raises(Exception, match="exited with code 7") as failed:
        await client.wait(MIGRATE, goal=COMPLETED)
    assert failed.value.reason == "Exited"  # type: ignore[attr-defined]
    evidence = failed.value.details[0].failed[0]  # type: ignore[attr-defined]
    assert list(evidence.status.container.last_log_lines) == ["no such table"]


async def test_retries_are_containers_of_their_own_and_are_counted_in_the_engine(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(job(retries=2))
        first = await running(harness, JOB)
        harness.driver.exit(JOB, 1)
        second = await running(harness, JOB, but=first)
        harness.driver.exit(JOB, 1)
    async with harness.running() as client:
        await eventually(
            lambda: harness.engine.containers and harness.driver.container(JOB).view.id != second
        )
        await running(harness, JOB)
        harness.driver.exit(JOB, 1)
        with pytest.raises(Exception, match="0 of 2 retries left"):
            await client.wait(MIGRATE, goal=COMPLETED)
        assert harness.driver.container(JOB).view.attempt == 2


async def test_a_job_runs_again_on_demand(client: Client, harness: Harness) -> None:
    await client.apply(job(env={"PASSWORD": "x"}))
    first = await running(harness, JOB)
    harness.driver.exit(JOB, 0)
    await client.wait(MIGRATE, goal=COMPLETED)
    await rerun(client)
    await running(harness, JOB, but=first)
    assert harness.driver.container(JOB).spec.env == {"PASSWORD": "x"}
    harness.driver.exit(JOB, 0)
    await client.wait(MIGRATE, goal=COMPLETED)


async def test_only_applied_jobs_run_again_on_demand(harness: Harness) -> None:
    harness.write("test/job.json", job(), document())
    async with harness.running() as client:
        await client.wait(key())
        with pytest.raises(Conflict, match=r"spec\.runId"):
            await rerun(client)
        with pytest.raises(Exception, match="web"):
            await rerun(client, "web")


async def test_a_completed_job_stays_so_without_its_container(client: Client, harness: Harness) -> None:
    await client.apply(job())
    await running(harness, JOB)
    harness.driver.exit(JOB, 0)
    await client.wait(MIGRATE, goal=COMPLETED)
    harness.driver.remove_behind_the_back(JOB)
    await eventually(lambda: harness.manager._queue.idle)
    await client.wait(MIGRATE, goal=COMPLETED)
    assert not harness.engine.containers


async def test_a_workload_waits_for_a_job_and_a_workload(client: Client, harness: Harness) -> None:
    probe = {"log": {"pattern": "listening"}}
    needs = [{"name": "migrate"}, {"name": "db"}]
    await client.apply(document(dependsOn=needs), job(), document("db", readiness=probe))
    await running(harness, JOB)
    await running(harness, Key("test", "Workload", "db"))
    await eventually(lambda: harness.manager._queue.idle)
    waiting = (await client.get()).status
    assert waiting.summary == "WaitingForDependencies"
    assert "migrate to be Completed (Running), db to be Ready" in waiting.progress
    harness.driver.exit(JOB, 0)
    harness.driver.log(Key("test", "Workload", "db"), b"listening\n")
    await client.wait()
    assert "dependencies" in [phase.name for phase in (await client.get()).status.phases]


async def test_a_failed_dependency_fails_what_waits_for_it_at_once_and_may_recover(
    client: Client, harness: Harness
) -> None:
    await client.apply(document(dependsOn=[{"name": "migrate"}]), job())
    await running(harness, JOB)
    harness.driver.exit(JOB, 1)
    with pytest.raises(Exception, match="migrate failed: Exited") as failed:
        await client.wait()
    assert failed.value.reason == "DependencyFailed"  # type: ignore[attr-defined]
    await rerun(client)
    await running(harness, JOB)
    harness.driver.exit(JOB, 0)
    await eventually(lambda: WEB in {c.view.key for c in harness.engine.containers.values()})
    await client.wait()


async def test_a_dependency_that_comes_later_is_waited_for(client: Client) -> None:
    await client.apply(document(dependsOn=[{"name": "db", "condition": "Started"}]))
    await client.apply(document("db"))
    await client.wait()


async def test_a_cycle_is_refused_by_apply_and_told_of_files(client: Client, harness: Harness) -> None:
    a, b = document("a", dependsOn=[{"name": "b"}]), document("b", dependsOn=[{"name": "a"}])
    with pytest.raises(InvalidArgument, match="a -> b -> a"):
        await client.apply(a, b)
    await client.apply(a)
    with pytest.raises(InvalidArgument, match="b -> a -> b"):
        await client.apply(b)
    harness.write("test/b.json", b)
    with pytest.raises(Exception, match="waits for itself") as failed:
        await client.wait(key("b"), timeout=30)
    assert failed.value.reason == "DependencyCycle"  # type: ignore[attr-defined]
    await harness.until(A, ConditionType.FAILED)
    harness.write("test/b.json", document("b"))
    await harness.until(A, ConditionType.FAILED, holds=False)
    await client.wait(key("a"), key("b"))


async def test_a_cycle_of_what_runs_already_is_told_and_stops_nothing(
    client: Client, harness: Harness
) -> None:
    harness.write("test/a.json", document("a", dependsOn=[{"name": "b"}]))
    harness.write("test/b.json", document("b"))
    await client.wait(key("a"), key("b"))
    harness.write("test/b.json", document("b", dependsOn=[{"name": "a"}]))

    message = "once its container is gone, it waits for itself: b -> a -> b; take one dependsOn away"

    def told() -> bool:
        found = harness.manager._store.get(Key("test", "Workload", "b"))
        accepted = found and found.status.condition(ConditionType.ACCEPTED)
        return bool(found and accepted and (found.status.summary, accepted.message) == ("Running", message))

    await eventually(told)


async def test_workloads_and_jobs_share_their_names(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    await client.apply(job("web"))
    with pytest.raises(Exception, match="workloads and jobs share") as failed:
        await client.wait(key(kind="Job"), goal=COMPLETED)
    assert failed.value.reason == "NameConflict"  # type: ignore[attr-defined]
    await client.delete(key())
    await running(harness, Key("test", "Job", "web"))


async def test_a_workload_becomes_a_job_of_the_same_name(harness: Harness) -> None:
    harness.write("test/web.json", document())
    async with harness.running() as client:
        await client.wait()
        harness.write("test/web.json", job("web"))
        await running(harness, Key("test", "Job", "web"))
        assert len(harness.engine.containers) == 1


@pytest.mark.parametrize("policy", ["None", "Restart", "Signal(SIGHUP)", "Recreate"])
async def test_files_change_as_the_manifest_says(harness: Harness, policy: str) -> None:
    def web(content: str) -> dict[str, object]:
        return document(files=[{"path": "/app.conf", "content": content, "onChange": policy}])

    async with harness.running() as client:
        await client.apply(web("a"))
        await client.wait()
        first = harness.driver.container(WEB)
        await client.apply(web("b"))
        await client.wait(goal=Goal.WAIT_GOAL_RECONCILED)
        now = harness.driver.container(WEB)
        assert now.files["/app.conf"][0] == b"b"
        assert (now.view.id == first.view.id) == (policy != "Recreate")
        assert ("SIGHUP" in now.signals) == (policy == "Signal(SIGHUP)")
        starts = [c for c in harness.driver.changes if c.startswith("start")]
        assert len(starts) == (2 if policy in ("Restart", "Recreate") else 1)
    async with harness.running() as client:  # by content, which is known to whoever comes after
        await client.wait()
        assert not [c for c in harness.driver.changes if not c.startswith("ensure_network")]


async def test_a_file_that_changed_while_nobody_looked(harness: Harness) -> None:
    def web(content: str) -> dict[str, object]:
        return document(files=[{"path": "/app.conf", "content": content, "onChange": "None"}])

    harness.write("test/web.json", web("a"))
    async with harness.running() as client:
        await client.wait()
    harness.write("test/web.json", web("b"))
    async with harness.running() as client:
        await eventually(lambda: harness.driver.container(WEB).files["/app.conf"][0] == b"b")
