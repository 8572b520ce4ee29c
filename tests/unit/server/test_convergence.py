"""Manifests in folders and through the API become containers, on the driver in memory."""

import json
from pathlib import Path

import pytest

from e2e_api.conditions import ConditionType
from e2e_api.errors import Conflict, InvalidArgument, NotFound
from e2e_api.v1 import event_service_pb2, manifest_service_pb2
from e2e_controller.drivers.base import DriverError, Key

from .conftest import Client, Goal, Harness, checked, document, eventually, key

WEB = Key("test", "Workload", "web")


async def test_a_dropped_file_becomes_a_container_and_a_removed_one_is_cleaned_up(harness: Harness) -> None:
    async with harness.running() as client:
        file = harness.write("test/web.json", document(ports={"http": 80}))
        seen = await client.wait()
        assert seen[-1].met
        network, *rest = harness.driver.changes
        assert network == "ensure_network test"
        made = [call for call in rest if call != network]  # which may be made sure of once more
        assert made == ["create test/Workload/web", "start test/Workload/web"]
        file.unlink()
        await client.wait(goal=Goal.WAIT_GOAL_DELETED)
        await eventually(lambda: not harness.engine.networks)
        assert not harness.engine.containers


async def test_apply_get_list_delete(client: Client, harness: Harness) -> None:
    applied = await client.apply(document("a"), document("b"))
    assert [(o.key.name, o.action) for o in applied.objects] == [("a", 1), ("b", 1)]
    await client.wait(key("a"), key("b"))
    assert (await client.get("a")).managed_by_api
    again = await client.apply(document("a"), document("b", env={"A": "1"}))
    assert [o.action for o in again.objects] == [3, 2]
    await client.wait(key("b"))
    await client.delete(key("a"), key("b"))
    await client.wait(key("a"), key("b"), goal=Goal.WAIT_GOAL_DELETED)
    assert not harness.engine.containers
    assert not list(harness.state.glob("manifests/*"))


async def test_a_restart_adopts_and_changes_nothing(harness: Harness) -> None:
    harness.write("test/web.json", document())
    async with harness.running() as client:
        await client.apply(document("applied"))
        await client.wait(key(), key("applied"))
        before = {c.view.id for c in harness.engine.containers.values()}
    async with harness.running() as client:
        await client.wait(key(), key("applied"))
        assert {c.view.id for c in harness.engine.containers.values()} == before
        assert [c for c in harness.driver.changes if not c.startswith("ensure_network")] == []


async def test_what_was_deleted_while_nobody_looked_is_removed_at_start(harness: Harness) -> None:
    file = harness.write("test/web.json", document())
    async with harness.running() as client:
        await client.wait()
    file.unlink()
    async with harness.running():
        await eventually(lambda: not harness.engine.containers and not harness.engine.networks)
        await eventually(lambda: not list((harness.state / "environments").glob("*")))


async def test_a_container_removed_behind_our_back_comes_back(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    first = harness.driver.container(WEB).view.id
    harness.driver.remove_behind_the_back(WEB)
    await eventually(lambda: harness.engine.containers and harness.driver.container(WEB).view.id != first)


async def test_an_exit_ends_the_wait_at_once_with_code_and_log(client: Client, harness: Harness) -> None:
    await client.apply(document(readiness={"log": {"pattern": "never"}}))
    await client.wait(goal=Goal.WAIT_GOAL_RUNNING)
    harness.driver.exit(WEB, 3, b"cannot open the database\n")
    with pytest.raises(Exception, match="exited with code 3") as failed:
        await client.wait()
    assert failed.value.reason == "Exited"  # type: ignore[attr-defined]
    evidence = failed.value.details[0].failed[0]  # type: ignore[attr-defined]
    assert list(evidence.status.container.last_log_lines) == ["cannot open the database"]


async def test_stop_and_start_keep_the_container_and_its_ports(client: Client, harness: Harness) -> None:
    await client.apply(document(ports={"http": 80}))
    await client.wait()
    before = await client.get()
    await client.apply(document(ports={"http": 80}, state="Stopped"))
    await client.wait(goal=Goal.WAIT_GOAL_STOPPED)
    assert (await client.get()).status.endpoints[0].external == ""
    await client.apply(document(ports={"http": 80}))
    await client.wait()
    after = await client.get()
    assert after.status.container.id == before.status.container.id
    assert after.status.endpoints == before.status.endpoints


async def test_a_wait_is_about_the_newest_manifest(client: Client, harness: Harness) -> None:
    await client.apply(document(env={"A": "1"}))
    await client.wait()
    first = harness.driver.container(WEB).view.id
    await client.apply(document(env={"A": "2"}))
    await client.wait()
    assert harness.driver.container(WEB).view.id != first


async def test_an_image_that_does_not_exist_fails_the_wait(client: Client) -> None:
    await client.apply(document(image="nothing:1"))
    with pytest.raises(Exception, match="nothing:1") as failed:
        await client.wait()
    assert failed.value.reason == "ImagePullFailed"  # type: ignore[attr-defined]


async def test_failures_that_may_pass_are_tried_again(client: Client, harness: Harness) -> None:
    harness.driver.fail("create", DriverError("the engine had a bad day"), times=2)
    await client.apply(document())
    await client.wait()
    assert [c for c in harness.driver.calls if c.startswith("create test")] == [
        "create test/Workload/web"
    ] * 3


async def test_a_failed_attempt_is_not_repeated_by_its_own_events(client: Client, harness: Harness) -> None:
    harness.driver.fail("start", DriverError("no such program", reason="StartFailed", retry=False))
    await client.apply(document())
    with pytest.raises(Exception, match="no such program"):
        await client.wait()
    starts = [c for c in harness.driver.calls if c.startswith("start")]
    await client.apply(document("other"))
    await client.wait(key("other"))
    assert [c for c in harness.driver.calls if c == starts[0]] == starts == starts[:1]


async def test_a_pull_is_shown_and_done_once(client: Client, harness: Harness) -> None:
    harness.driver.pullable.add("later:1")
    harness.driver.hang("pull")
    await client.apply(document("a", image="later:1"), document("b", image="later:1"))
    await eventually(lambda: harness.driver.calls.count("pull later:1") == 2)  # none finds it there already
    harness.driver.release("pull")
    await client.wait(key("a"), key("b"))
    phases = [phase.name for phase in (await client.get("a")).status.phases]
    assert [name for name in phases if name not in ("queue", "network")][:1] == ["pull"]
    assert phases[-1] == "start"


async def test_a_foreign_container_is_never_touched(client: Client, harness: Harness) -> None:
    harness.driver.add_foreign(WEB)
    await client.apply(document())
    with pytest.raises(Exception, match="web") as failed:
        await client.wait()
    assert failed.value.reason == "NameConflict"  # type: ignore[attr-defined]
    await client.delete(key())
    await client.wait(goal=Goal.WAIT_GOAL_DELETED)
    assert len(harness.engine.containers) == 1


async def test_a_name_that_is_free_again_is_taken_at_once(client: Client, harness: Harness) -> None:
    """Not only at the next try, which comes a minute after a failure that needs a person."""
    harness.driver.add_foreign(WEB)
    await client.apply(document())
    with pytest.raises(Exception, match="web"):
        await client.wait()
    harness.driver.free_name(WEB)
    await eventually(lambda: harness.engine.containers and harness.driver.container(WEB).lives)
    await harness.until(WEB, ConditionType.FAILED, holds=False)
    await client.wait()


async def test_what_a_file_defines_the_api_does_not_change(harness: Harness) -> None:
    file = harness.write("test/web.json", document())
    async with harness.running() as client:
        await client.wait()
        for change in (client.apply(document(env={"A": "1"})), client.delete(key())):
            with pytest.raises(Conflict, match=str(file)):
                await change


async def test_a_bad_file_leaves_others_alone_and_is_told(harness: Harness) -> None:
    harness.write("test/web.json", document())
    async with harness.running() as client:
        await client.wait()
        first = harness.driver.container(WEB).view.id
        harness.write("test/web.json", "{not: [yaml")
        with pytest.raises(Exception, match=r"json:\d+:\d+: not YAML"):
            await client.wait()
        assert harness.driver.container(WEB).view.id == first
        harness.write("test/web.json", document())
        await client.wait()
        assert harness.driver.container(WEB).view.id == first


async def test_apply_lists_all_that_is_wrong_and_writes_nothing(client: Client) -> None:
    with pytest.raises(InvalidArgument) as failed:
        await client.apply(document("good"), document("Bad"), document("c", comand=["x"]))
    assert "did you mean command?" in str(failed.value)
    assert {field for field, _ in failed.value.violations} == {"metadata.name", "spec.comand"}
    with pytest.raises(NotFound):
        await client.get("good")


async def test_relative_paths_are_refused_by_apply(client: Client) -> None:
    with pytest.raises(InvalidArgument, match="give an absolute path"):
        await client.apply(document(volumes=[{"source": "./x", "target": "/x"}]))


@pytest.mark.parametrize("environment", ["/", "..", "../../outside", "a/b", "A", "a\n", "x" * 64])
async def test_an_environment_is_a_name_and_no_path(
    client: Client, harness: Harness, environment: str
) -> None:
    request = manifest_service_pb2.ApplyRequest(documents=json.dumps(document()), environment=environment)
    with pytest.raises(InvalidArgument, match="environment: expected a lowercase DNS label"):
        await checked(client.manifests.Apply(request, timeout=60))
    assert not list(harness.state.parent.rglob("workload.web.json"))


async def test_a_dry_run_plans_and_changes_nothing(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    planned = await client.apply(document(env={"A": "1"}), document("new"), dry_run=True)
    container = harness.driver.container(WEB).view.id[:12]
    assert list(planned.objects[0].plan) == [
        f"remove {container}: its spec changed",
        "create busybox:1.36: its spec changed",
        "start: state is Running",
    ]
    assert list(planned.objects[1].plan) == [
        "create busybox:1.36: it is not there",
        "start: state is Running",
    ]
    assert (await client.get()).generation == 1


async def test_environment_defaults_reach_its_workloads(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    await client.apply(document("test", "Environment", labels={"team": "a"}))
    await eventually(
        lambda: harness.engine.containers and harness.driver.container(WEB).spec.labels == {"team": "a"}
    )


async def test_steady_state_asks_the_engine_nothing(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    await eventually(lambda: harness.manager._queue.idle)
    for _ in range(5):  # events of the start may still come
        before = list(harness.driver.calls)
        await client.get()
        await client.apply(document())
        if harness.driver.calls == before:
            break
    assert harness.driver.calls == before


@pytest.mark.parametrize("name", ["state", "sub/../state"])
async def test_folders_may_be_relative(harness: Harness, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(harness.folder.parent)
    (harness.folder.parent / "sub").mkdir()
    harness.write("test/web.json", document())
    async with harness.running(state_dir=Path(name), folder=[Path("sub/../manifests")]) as client:
        await client.wait()
        await client.apply(document("applied"))
        await client.wait(key("applied"))
        directory = (await client.get("applied")).status.directory
        assert directory == str(harness.state / "environments" / "test" / "applied")
        await eventually(Path(directory).is_dir)
        assert (await client.get()).source == f"{harness.folder}/test/web.json:1"


async def test_a_folder_that_is_not_there_is_told_and_may_come(harness: Harness) -> None:
    harness.folder.rmdir()
    async with harness.running() as client:
        missing = await client.get(str(harness.folder), "default", "File")
        assert missing.status.conditions[0].reason == "ReadError"
        harness.folder.mkdir()
        harness.write("test/web.json", document())
        await eventually(lambda: harness.engine.containers)
        await client.wait()
        await eventually(lambda: not harness.manager._store.select("default", "File"))


async def test_bad_files_of_one_name_in_two_folders_are_both_told(harness: Harness, tmp_path: Path) -> None:
    second = tmp_path / "second"
    (second / "test").mkdir(parents=True)
    bad = harness.write("test/web.yaml", "kind: [")
    other = second / "test" / "web.yaml"
    other.write_text("kind: {")
    async with harness.running(folder=[harness.folder, second]) as client:
        first = await client.get("test/web.yaml", kind="File")
        assert first.source.startswith(f"{bad}:")
        assert (await client.get(str(other), kind="File")).source.startswith(f"{other}:")
        request = event_service_pb2.WatchEventsRequest(environment="test", kind="File")
        told = [item.event.key.name async for item in client.events.WatchEvents(request, timeout=60)]
        assert told[:-1] == ["test/web.yaml", str(other)]
        bad.unlink()
        await eventually(lambda: len(harness.manager._store.select("test", "File")) == 1)
        assert await client.get(str(other), kind="File")
