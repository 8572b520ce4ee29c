"""The policy of a whole controller: denials are told, and the engine hears nothing of what is denied."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from e2e_api.errors import InvalidArgument, PolicyDenied, WaitFailed
from e2e_api.v1 import environment_service_pb2, event_service_pb2, manifest_service_pb2, object_pb2
from e2e_controller.settings import Settings

from .conftest import Client, Goal, Harness, checked, document, eventually, key

Stopped = Goal.WAIT_GOAL_STOPPED
PRIVILEGED = {"security": {"privileged": True}}


def policy(harness: Harness, text: str = "") -> str:
    """A policy file with these rules."""
    path = harness.state.parent / "policy.yaml"
    path.write_text(f"extends: restricted\n{text}")
    return str(path)


def made(harness: Harness) -> list[str]:
    """The calls that changed something."""
    return [call for call in harness.driver.changes if not call.startswith("remove_")]


def in_test(name: str = "web", **spec: Any) -> dict[str, Any]:
    found = document(name, **spec)
    found["metadata"]["environment"] = "test"
    return found


async def refused(client: Client, name: str = "web", kind: str = "Workload") -> tuple[str, str]:
    """Why the object's manifest is not accepted: reason and message; empty where it is."""
    found = await client.get(name, kind=kind)
    (condition,) = [c for c in found.status.conditions if c.type == "Accepted"]
    if condition.status == object_pb2.CONDITION_STATUS_TRUE:
        return "", ""
    assert condition.status == object_pb2.CONDITION_STATUS_FALSE
    return condition.reason, condition.message


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the folder `good` and a `link` to it."""
    folder = tmp_path.resolve() / "data"
    (folder / "good").mkdir(parents=True)
    (folder / "link").symlink_to("good")
    return folder


DENIED: list[tuple[str, dict[str, Any]]] = [
    ("privileged", PRIVILEGED),
    ("capabilities", {"security": {"capabilities": ["SYS_ADMIN"]}}),
    ("hostNamespaces", {"security": {"userns": "host"}}),
    ("hostPaths", {"volumes": [{"source": "/etc", "target": "/x"}]}),
    ("hostPorts", {"ports": {"http": {"containerPort": 80, "hostPort": 80}}}),
    ("build.contexts", {"build": {"context": "/etc"}}),
    ("images.deniedTags", {"image": "busybox:latest"}),
]
RULES = "images: {deniedTags: [latest]}\nbuild: {anyBaseImage: true}"


@pytest.mark.parametrize(("rule", "spec"), DENIED)
async def test_a_file_that_is_denied_is_told_and_asks_nothing(
    harness: Harness, rule: str, spec: dict[str, Any]
) -> None:
    file = harness.write("a.yaml", in_test(**spec))
    async with harness.running(policy=policy(harness, RULES)) as client:
        with pytest.raises(
            WaitFailed, match=f"its manifest is denied: .*policy rule {rule} denies"
        ) as failed:
            await client.wait()
        assert failed.value.reason == "PolicyDenied"
        assert failed.value.action == "fix-manifest"
        reason, message = await refused(client)
        assert reason == "PolicyDenied"
        assert message.startswith(f"{file}:1: policy rule {rule} denies spec.")
        assert (await client.get()).status.summary == "Rejected"
        assert made(harness) == []
        assert not [c for c in harness.driver.calls if c.startswith(("image_present", "inspect_network"))]


async def test_apply_refuses_at_once_and_writes_nothing(harness: Harness) -> None:
    async with harness.running(policy=policy(harness, RULES)) as client:
        for rule, spec in DENIED:
            for dry_run in (False, True):
                with pytest.raises(PolicyDenied) as denied:
                    await client.apply(document("good"), document("bad", **spec), dry_run=dry_run)
                assert denied.value.reason == "PolicyDenied"
                assert [field for field, _ in denied.value.violations] == [rule]
                assert f"test/Workload/bad: policy rule {rule} denies spec." in str(denied.value)
        assert made(harness) == []
        assert not list((harness.state / "manifests").rglob("*.json"))


async def test_the_events_tell_of_it(harness: Harness) -> None:
    harness.write("a.yaml", in_test(**PRIVILEGED))
    async with harness.running(policy=policy(harness)) as client:
        assert (await refused(client))[0] == "PolicyDenied"
        call = client.events.WatchEvents(event_service_pb2.WatchEventsRequest(), timeout=20)
        told = [response.event.message async for response in call if response.event.reason == "PolicyDenied"]
        assert len(told) == 1
        assert "policy rule privileged denies" in told[0]


async def test_a_denied_version_leaves_the_last_good_one_running(harness: Harness) -> None:
    harness.write("a.yaml", in_test())
    async with harness.running(policy=policy(harness)) as client:
        await client.wait()
        before = (await client.get()).status.container.id
        harness.write("a.yaml", in_test(**PRIVILEGED))
        with pytest.raises(WaitFailed, match="policy rule privileged"):
            await client.wait()
        harness.write("a.yaml", "not: [yaml")  # whose last good version is not the denied one
        await asyncio.sleep(0.3)
        assert (await client.get()).status.container.id == before
        harness.write("a.yaml", in_test(env={"A": "1"}))
        await client.wait()
        assert (await client.get()).status.container.id != before
        assert [c for c in made(harness) if c.startswith("create")] == ["create test/Workload/web"] * 2


async def test_a_broken_version_after_a_denied_one_brings_nothing_into_force(harness: Harness) -> None:
    harness.write("a.yaml", in_test(**PRIVILEGED))
    async with harness.running(policy=policy(harness)) as client:
        with pytest.raises(WaitFailed):
            await client.wait()
        harness.write("a.yaml", in_test(unknown=1))
        with pytest.raises(WaitFailed, match="unknown field"):
            await client.wait()
        assert made(harness) == []


async def test_what_was_applied_before_is_judged_at_a_restart(harness: Harness) -> None:
    async with harness.running(policy="permissive") as client:
        await client.apply(document(**PRIVILEGED), document("other"))
        await client.wait(key(), key("other"))
    async with harness.running(policy=policy(harness)) as client:
        with pytest.raises(WaitFailed, match="policy rule privileged"):
            await client.wait()
        await client.wait(key("other"))
        await eventually(lambda: len(harness.engine.containers) == 1)
        assert [c for c in harness.driver.changes if c.startswith(("create", "start"))] == []


async def test_a_job_cannot_be_run_again_that_is_denied(harness: Harness) -> None:
    async with harness.running(policy="permissive") as client:
        await client.apply(document("job", "Job", **PRIVILEGED))
    async with harness.running(policy=policy(harness)) as client:
        request = manifest_service_pb2.RunJobRequest(key=key("job", kind="Job"))
        with pytest.raises(InvalidArgument, match="no job that could run again"):
            await checked(client.manifests.RunJob(request, timeout=20))
        assert (await refused(client, "job", "Job"))[0] == "PolicyDenied"
        assert [c for c in harness.driver.changes if c.startswith("create")] == []


async def test_an_environment_that_is_denied_is_not_made(harness: Harness) -> None:
    bad = document("test", "Environment", volumes=[{"source": "/etc", "target": "/x"}])
    harness.write("a.yaml", bad)
    async with harness.running(policy=policy(harness)) as client:
        assert (await refused(client, "test", "Environment"))[0] == "PolicyDenied"
        await eventually(lambda: "list_environments" in harness.driver.calls)
        await asyncio.sleep(0.2)
        assert made(harness) == []
        harness.write("b.yaml", in_test())  # and its defaults are not those of others
        await client.wait(timeout=30)  # less than until all is looked at anew
        (container,) = harness.engine.containers.values()
        assert [m.source for m in container.spec.mounts] == [str(harness.state / "environments" / "test")]
        (harness.folder / "b.yaml").unlink()
        await eventually(lambda: not harness.engine.networks, timeout=30)


async def test_the_defaults_count_whatever_comes_first(harness: Harness) -> None:
    rules = "resources: {perWorkload: {memory: 1Gi}}"
    harness.write("a.yaml", in_test())
    async with harness.running(policy=policy(harness, rules)) as client:
        assert (await refused(client))[0] == "PolicyDenied"
        harness.write("z.yaml", document("test", "Environment", resources={"memory": "1Gi"}))
        await eventually_accepted(client, "web")
        await client.wait()
        (container,) = harness.engine.containers.values()
        assert container.spec.memory == 2**30
        (harness.folder / "z.yaml").unlink()  # what runs must not go on without a limit
        await eventually(lambda: not harness.engine.containers)
        assert (await refused(client))[0] == "PolicyDenied"


async def eventually_accepted(client: Client, *names: str) -> None:
    async with asyncio.timeout(20):
        for name in names:
            while (await refused(client, name))[0]:  # noqa: ASYNC110 - what is looked at has no event
                await asyncio.sleep(0.01)


async def test_objects_are_counted_and_the_first_stay(harness: Harness) -> None:
    rules = "objects: {perEnvironment: 2, total: 3}"
    for name in ("a", "b", "c"):
        harness.write(f"{name}.yaml", in_test(name))
    async with harness.running(policy=policy(harness, rules)) as client:
        await client.wait(key("a"), key("b"))
        assert "policy rule objects.perEnvironment denies" in (await refused(client, "c"))[1]
        (harness.folder / "a.yaml").unlink()
        await eventually_accepted(client, "c")
        await client.wait(key("b"), key("c"))
        with pytest.raises(PolicyDenied, match=r"objects\.perEnvironment"):
            await client.apply(in_test("d"))
        elsewhere = [document(name) for name in ("d", "e")]
        for found in elsewhere:
            found["metadata"]["environment"] = "other"
        with pytest.raises(PolicyDenied, match=r"objects\.total denies"):
            await client.apply(*elsewhere)
        await client.apply(elsewhere[0])
        await client.apply(elsewhere[0])  # again is no more


async def test_what_is_being_deleted_counts_until_it_is_gone(harness: Harness) -> None:
    """Else a client could have any number of containers that take long to stop."""
    async with harness.running(policy=policy(harness, "objects: {total: 1}")) as client:
        await client.apply(document("a"))
        await client.wait(key("a"))
        harness.driver.hang("remove")
        await client.delete(key("a"))
        with pytest.raises(PolicyDenied, match=r"objects\.total"):
            await client.apply(document("b"))
        harness.driver.release("remove")
        await eventually(lambda: not harness.engine.containers)
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.apply(document("b"))
                except PolicyDenied:
                    await asyncio.sleep(0.01)
                else:
                    break
        await client.wait(key("b"))


async def test_memory_is_summed_over_an_environment(harness: Harness) -> None:
    rules = "resources: {perEnvironment: {memory: 1Gi}}"
    async with harness.running(policy=policy(harness, rules)) as client:
        with pytest.raises(PolicyDenied, match=r"resources\.perEnvironment"):
            await client.apply(document("a"))
        await client.apply(document("a", resources={"memory": "600Mi"}))
        with pytest.raises(PolicyDenied, match="ask for less"):
            await client.apply(document("b", resources={"memory": "600Mi"}))
        await client.apply(document("a", resources={"memory": "400Mi"}))
        await client.apply(document("b", resources={"memory": "600Mi"}))
        with pytest.raises(PolicyDenied, match=r"resources\.perEnvironment"):
            await client.apply(document("a", resources={"memory": "500Mi"}))
        with pytest.raises(PolicyDenied, match=r"resources\.perEnvironment"):
            await client.apply(*(document(n, resources={"memory": "600Mi"}) for n in ("c", "d")))


async def test_defaults_may_not_lift_the_sum(harness: Harness) -> None:
    rules = "resources: {perEnvironment: {memory: 1Gi}}"
    async with harness.running(policy=policy(harness, rules)) as client:
        defaults = document("test", "Environment", resources={"memory": "400Mi"})
        await client.apply(defaults, document("a"), document("b"))
        with pytest.raises(PolicyDenied, match=r"resources\.perEnvironment denies spec\.resources"):
            await client.apply(document("test", "Environment", resources={"memory": "600Mi"}))
        await client.wait(key("a"), key("b"))


async def test_environments_are_counted_held_ones_too(harness: Harness) -> None:
    async with harness.running(policy=policy(harness, "environments: 1")) as client:
        call = client.environments.Hold(environment_service_pb2.HoldRequest(environment="held"), timeout=60)
        await call.read()
        with pytest.raises(PolicyDenied, match="policy rule environments denies"):
            await client.apply(document())
        other = client.environments.Hold(environment_service_pb2.HoldRequest(environment="b"), timeout=20)
        with pytest.raises(PolicyDenied, match="policy rule environments denies"):
            await checked(other.read())
        assert [c for c in made(harness) if "held" not in c] == []
        call.cancel()
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.apply(document())
                except PolicyDenied:
                    await asyncio.sleep(0.01)
                else:
                    break
        await client.wait()


async def test_two_in_one_request_are_counted_together(harness: Harness) -> None:
    async with harness.running(policy=policy(harness, "environments: 1")) as client:
        first, second = document("a"), document("b")
        second["metadata"]["environment"] = "other"
        with pytest.raises(PolicyDenied) as denied:
            await client.apply(first, second)
        assert len(denied.value.violations) == 1
        assert made(harness) == []


async def test_a_link_that_leads_elsewhere_by_then_is_not_mounted(harness: Harness, data: Path) -> None:
    """What is mounted is judged again before the creation, and once more before each start."""
    mount = {"volumes": [{"source": f"{data}/link", "target": "/x"}]}
    async with harness.running(policy=policy(harness, f"hostPaths: [{{path: {data}}}]")) as client:
        harness.driver.hang("create")
        harness.driver.hang("image_present")
        await client.apply(document(**mount))
        await eventually(lambda: [c for c in harness.driver.calls if c.startswith("image_present")])
        (data / "link").unlink()
        (data / "link").symlink_to("/etc")
        harness.driver.release("image_present")
        with pytest.raises(WaitFailed, match=r"policy rule hostPaths denies .* leads to /etc") as failed:
            await client.wait()
        assert failed.value.reason == "PolicyDenied"
        assert not [c for c in harness.driver.calls if c.startswith("create")]


async def test_the_engine_is_given_the_path_without_links(harness: Harness, data: Path) -> None:
    mount = {"volumes": [{"source": f"/proc/self/root{data}/link/../link", "target": "/x"}]}
    async with harness.running(policy=policy(harness, f"hostPaths: [{{path: {data}}}]")) as client:
        await client.apply(document(**mount))
        await client.wait()
        (container,) = harness.engine.containers.values()
        assert [m.source for m in container.spec.mounts if m.target == "/x"] == [f"{data}/good"]
        await client.apply(document(**mount))  # and is still as it was asked for
        await client.wait()
        assert len([c for c in made(harness) if c.startswith("create")]) == 1


async def test_a_folder_that_was_swapped_for_a_link_is_not_started_with(harness: Harness, data: Path) -> None:
    good = data / "good"
    mount = {"volumes": [{"source": str(good), "target": "/x"}]}
    async with harness.running(policy=policy(harness, f"hostPaths: [{{path: {good.parent}}}]")) as client:
        await client.apply(document(**mount))
        await client.wait()
        await client.apply(document(**mount, state="Stopped"))
        await client.wait(goal=Stopped)
        good.rmdir()
        good.symlink_to("/etc")
        started = len([c for c in harness.driver.calls if c.startswith("start ")])
        with pytest.raises(PolicyDenied, match="leads to /etc"):
            await client.apply(document(**mount))
        good.unlink()
        good.symlink_to(good.parent)  # allowed, but not what the container was made with
        await client.apply(document(**mount))
        with pytest.raises(WaitFailed, match="by now"):
            await client.wait()
        assert len([c for c in harness.driver.calls if c.startswith("start ")]) == started


async def test_what_another_may_swap_for_a_link_is_not_mounted(harness: Harness, data: Path) -> None:
    def mounting(name: str, path: Path, read_only: bool = False) -> dict[str, Any]:
        return in_test(name, volumes=[{"source": str(path), "target": "/x", "readOnly": read_only}])

    async with harness.running(policy=policy(harness, f"hostPaths: [{{path: {data}}}]")) as client:
        await client.apply(mounting("writer", data))
        with pytest.raises(PolicyDenied, match=rf"Workload test/writer may write to {data}, and so swap"):
            await client.apply(mounting("below", data / "good", read_only=True))
        await client.apply(mounting("beside", data))
        await client.apply(mounting("beside", data, read_only=True))
        await client.apply(mounting("writer", data, read_only=True))
        await client.apply(mounting("below", data / "good"))
        with pytest.raises(PolicyDenied, match=rf"it could swap {data}/good for a link, which Workload"):
            await client.apply(mounting("writer", data))
        with pytest.raises(PolicyDenied, match="hostPaths denies"):
            await client.apply(mounting("one", data), mounting("two", data / "good"))
        elsewhere = mounting("writer", data)
        elsewhere["metadata"]["environment"] = "other"
        with pytest.raises(PolicyDenied, match="which another environment's workload mounts"):
            await client.apply(elsewhere)
        volumes = [{"source": str(data), "target": "/x"}]
        with pytest.raises(PolicyDenied, match="hostPaths denies"):
            await client.apply(document("test", "Environment", volumes=volumes))
        harness.write("late.yaml", mounting("late", data))
        assert (await refused(client, "late"))[0] == "PolicyDenied"
        await client.delete(key("below"))
        await eventually_accepted(client, "late")


async def test_permissive_is_the_default_on_a_socket(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document(**PRIVILEGED))
        await client.wait()
        (container,) = harness.engine.containers.values()
        assert container.spec.privileged


async def test_restricted_is_the_default_on_tcp(harness: Harness) -> None:
    async with harness.running(listen=["127.0.0.1:0"]) as client:
        with pytest.raises(PolicyDenied, match="policy rule privileged"):
            await client.apply(document(**PRIVILEGED))


def test_a_wrong_policy_is_a_wrong_setting(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("privileged: sure\n")
    with pytest.raises(ValueError, match=r"policy\.yaml:1:13: privileged: expected true or false"):
        Settings(policy=str(file))
