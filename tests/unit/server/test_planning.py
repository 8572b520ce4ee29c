"""Dry runs: what they say is what is then done, and they do nothing themselves."""

from typing import Any

import pytest

from e2e_api.errors import Conflict
from e2e_api.v1 import environment_service_pb2, event_service_pb2, manifest_service_pb2
from e2e_controller.drivers.base import Key
from e2e_controller.server.differences import Change, differences

from .conftest import Client, Goal, Harness, checked, document, eventually, key

FILE = {"path": "/etc/app.conf", "content": "one\n"}
BASE: dict[str, Any] = {"files": [FILE], "env": {"A": "1"}, "ports": {"http": 80}}
CHANGES: dict[str, tuple[dict[str, Any] | None, dict[str, Any], list[str]]] = {
    "new": (None, BASE, ["create", "start"]),
    "new, pulled": (None, {**BASE, "image": "later:1"}, ["pull", "create", "start"]),
    "new, built": (None, {"build": {"context": "/src"}}, ["build", "create", "start"]),
    "same": (BASE, BASE, []),
    "image": (BASE, {**BASE, "image": "later:1"}, ["remove", "pull", "create", "start"]),
    "env": (BASE, {**BASE, "env": {"A": "2"}}, ["remove", "create", "start"]),
    "files": (BASE, {**BASE, "files": [{**FILE, "content": "two\n"}]}, ["remove", "create", "start"]),
    "stopped": (BASE, {**BASE, "state": "Stopped"}, ["stop"]),
    "killed": (BASE, {**BASE, "state": "Killed"}, ["kill"]),
    "paused": (BASE, {**BASE, "state": "Paused"}, ["pause"]),
    "running again": ({**BASE, "state": "Stopped"}, BASE, ["create", "start"]),
    "graceful": (
        BASE,
        {**BASE, "env": {}, "stop": {"signal": "SIGINT"}},
        ["stop", "remove", "create", "start"],
    ),
}


async def executed(client: Client) -> tuple[int, list[str]]:
    """How many steps were executed so far, and which, as far as they differ, in order of their last time."""
    request = event_service_pb2.WatchEventsRequest(environment="test", kind="Workload", name="web")
    items = [item.event async for item in client.events.WatchEvents(request, timeout=60)]
    events = [event for event in items if event.message]
    return sum(event.count for event in events), [event.message for event in events]


def made(harness: Harness) -> list[str]:
    """The calls that changed something; that a network is there may be made sure of at any time."""
    return [call for call in harness.driver.changes if not call.startswith("ensure_network")]


async def test_a_changed_job_shows_what_was_changed_alone(client: Client) -> None:
    await client.apply(document("migrate", "Job", command=["a"]))
    changed, *_ = (await client.apply(document("migrate", "Job", command=["b"]), dry_run=True)).objects
    assert [field.path for field in changed.changes] == ["spec.command"]


@pytest.mark.parametrize("name", CHANGES)
async def test_the_plan_is_what_is_then_executed(client: Client, harness: Harness, name: str) -> None:
    before, after, steps = CHANGES[name]
    harness.driver.pullable.add("later:1")
    if before is not None:
        await client.apply(document(**before))
        await client.wait(goal=Goal.WAIT_GOAL_RECONCILED)
    done = await executed(client)
    changes = made(harness)
    planned, *_ = (await client.apply(document(**after), dry_run=True)).objects
    assert [line.split()[0].rstrip(":") for line in planned.plan] == steps
    assert made(harness) == changes  # so far nothing was done
    assert await executed(client) == done
    await client.apply(document(**after))
    await client.wait(goal=Goal.WAIT_GOAL_RECONCILED)
    count, messages = await executed(client)
    assert messages[len(messages) - len(steps) :] == list(planned.plan)
    assert count == done[0] + len(steps)


async def test_a_deletion_is_planned_and_then_executed(client: Client, harness: Harness) -> None:
    await client.apply(document(), document("db"))
    await client.wait(key(), key("db"))
    done = await executed(client)
    request = manifest_service_pb2.DeleteRequest(keys=[key("test", kind="Environment")], dry_run=True)
    answer = await checked(client.manifests.Delete(request, timeout=60))
    assert [(o.key.name, o.action) for o in answer.objects] == [("db", 4), ("web", 4), ("test", 4)]
    assert len(harness.engine.containers) == 2
    await client.delete(key(), key("db"))
    await client.wait(key(), key("db"), goal=Goal.WAIT_GOAL_DELETED)
    count, messages = await executed(client)
    assert messages[-1:] == list(answer.objects[1].plan)
    assert count == done[0] + 1


async def test_new_defaults_of_an_environment_show_whom_they_change(client: Client, harness: Harness) -> None:
    await client.apply(document(), document("db"))
    await client.wait(key(), key("db"))
    changed = document("test", "Environment", labels={"team": "a"})
    alone = (await client.apply(changed, dry_run=True)).objects[0]
    assert [line.partition(" ")[0] for line in alone.plan] == ["db:"] * 3 + ["web:"] * 3
    both = (await client.apply(changed, document(), dry_run=True)).objects
    assert [line.partition(" ")[0] for line in both[0].plan] == ["db:"] * 3
    assert [line.split()[0] for line in both[1].plan] == ["remove", "create", "start:"]
    assert both[1].action == manifest_service_pb2.APPLY_ACTION_UNCHANGED


async def test_whose_file_of_targets_changes_is_told_beside_what_is_given(
    client: Client, harness: Harness
) -> None:
    targets = [{"path": "/targets.json", "from": "MetricTargets"}]
    web = document(ports={"http": 80}, metrics={"port": "http"})
    writes = "write /targets.json into"

    def told(objects: Any) -> list[tuple[str, int, list[str]]]:
        return [(o.key.name, o.action, [line[: len(writes)] for line in o.plan]) for o in objects][1:]

    await client.apply(document("prometheus", files=targets))
    await client.wait(key("prometheus"))
    unchanged = ("prometheus", manifest_service_pb2.APPLY_ACTION_UNCHANGED, [writes])
    assert told((await client.apply(web, dry_run=True)).objects) == [unchanged]
    both = (await client.apply(web, document("prometheus", files=targets), dry_run=True)).objects
    assert told(both) == [unchanged]
    await client.apply(web)
    await client.wait(key(), key("prometheus"), goal=Goal.WAIT_GOAL_RECONCILED)
    await eventually(lambda: any(call.startswith("put_files") for call in harness.driver.changes))
    await eventually(lambda: harness.manager._queue.idle)
    assert told((await client.apply(web, dry_run=True)).objects) == []
    request = manifest_service_pb2.DeleteRequest(keys=[key()], dry_run=True)
    assert told((await checked(client.manifests.Delete(request, timeout=60))).objects) == [unchanged]
    labelled = document("test", "Environment", labels={"team": "a"})
    relabelled = (await client.apply(labelled, dry_run=True)).objects
    assert [o.key.name for o in relabelled] == ["test", "prometheus"]


async def test_a_dry_run_tells_the_fields_without_their_secrets(client: Client) -> None:
    await client.apply(document(**BASE | {"env": {"DB_PASSWORD": "hunter22"}}))
    changed = document(**BASE | {"env": {"DB_PASSWORD": "hunter33"}, "image": "later:1"})
    (found,) = (await client.apply(changed, dry_run=True)).objects
    told = {change.path: (change.old, change.new) for change in found.changes}
    assert told == {
        "spec.env.DB_PASSWORD": ("********", "******** (another one)"),
        "spec.image": ("busybox:1.36", "later:1"),
    }


async def test_a_foreign_container_is_told_and_not_raised(client: Client, harness: Harness) -> None:
    harness.driver.add_foreign(Key("test", "Workload", "web"))
    found, _ = (await client.apply(document(), dry_run=True)).objects
    assert found.plan[0].startswith("refuse: the container name test.web is taken")


def test_differences_are_by_field_and_by_what_tells_entries_apart() -> None:
    old = {
        "spec": {"files": [{"path": "/a", "content": "1"}, {"path": "/b", "content": "2"}], "command": ["x"]}
    }
    new = {"spec": {"files": [{"path": "/b", "content": "3"}], "command": ["x", "y"], "state": "Stopped"}}
    assert differences(old, new) == [
        Change("spec.command", '["x"]', '["x", "y"]'),
        Change("spec.files[/a].content", "1", None),
        Change("spec.files[/a].path", "/a", None),
        Change("spec.files[/b].content", "2", "3"),
        Change("spec.state", None, "Stopped"),
    ]
    assert differences(old, old) == []


async def planned_file(client: Client, document_: dict[str, Any]) -> manifest_service_pb2.AppliedObject:
    """What a dry run tells of a manifest that a file of the folder defines."""
    (found,) = (await client.apply(document_, dry_run=True)).objects
    assert found.defined_by.endswith("web.json:1")
    return found


async def test_what_a_file_defines_can_be_compared_but_not_changed(client: Client, harness: Harness) -> None:
    harness.write("test/web.json", document())
    await client.wait()
    same = await planned_file(client, document())
    assert (same.action, list(same.plan)) == (manifest_service_pb2.APPLY_ACTION_UNCHANGED, [])
    edited = document(env={"A": "b"})
    changed = await planned_file(client, edited)
    assert [(c.path, c.new) for c in changed.changes] == [("spec.env.A", "b")]
    assert [line.split()[0] for line in changed.plan] == ["remove", "create", "start:"]
    with pytest.raises(Conflict, match=r"web\.json:1; change that file"):
        await client.apply(edited)
    request = manifest_service_pb2.DeleteRequest(keys=[key()], dry_run=True)
    gone = (await checked(client.manifests.Delete(request, timeout=60))).objects[0]
    assert gone.defined_by == same.defined_by
    assert [line.split()[0] for line in gone.plan] == ["remove"]
    with pytest.raises(Conflict):
        await client.delete(key())
    before = await executed(client)
    harness.write("test/web.json", edited)
    await client.wait()
    assert (await executed(client))[1][-3:] == list(changed.plan) != before[1][-3:]


async def test_relative_paths_of_a_file_are_no_difference(client: Client, harness: Harness) -> None:
    def web(folder: str) -> dict[str, Any]:
        return document(volumes=[{"source": f"{folder}/data", "target": "/data"}])

    harness.write("test/web.json", web("."))
    await client.wait()
    found = await planned_file(client, web(str(harness.folder / "test")))
    assert (found.action, list(found.plan)) == (manifest_service_pb2.APPLY_ACTION_UNCHANGED, [])


@pytest.mark.parametrize("change", ["env", "defaults"])
async def test_what_waits_for_another_that_changes_too_is_planned_so(
    client: Client, harness: Harness, change: str
) -> None:
    def documents(env: dict[str, str], **defaults: Any) -> list[dict[str, Any]]:
        web = document(dependsOn=[{"name": "db"}], env=env)
        return [web, document("db", readiness=probe, env=env), document("test", "Environment", **defaults)]

    probe, db = {"log": {"pattern": "listening"}}, Key("test", "Workload", "db")
    await client.apply(*documents({}))
    await eventually(lambda: any(c.view.key == db and c.lives for c in harness.engine.containers.values()))
    harness.driver.log(db, b"listening\n")
    await client.wait(key(), key("db"))
    done = await executed(client)
    after = documents({"A": "1"}) if change == "env" else documents({}, labels={"team": "a"})
    planned = (await client.apply(*after, dry_run=True)).objects[0]
    assert [line.split()[0] for line in planned.plan] == ["remove", "wait:"]
    assert planned.plan[1].startswith("wait: waits for db to be Ready")
    await client.apply(*after)
    await eventually(lambda: harness.manager._queue.idle)
    count, messages = await executed(client)
    assert (count, messages[-1]) == (done[0] + 1, planned.plan[0])
    status = (await client.get()).status
    assert f"wait: {status.progress}".startswith("wait: waits for db to be Ready")


async def test_what_is_new_waits_for_what_is_new(client: Client) -> None:
    planned = (await client.apply(document(dependsOn=[{"name": "db"}]), document("db"), dry_run=True)).objects
    assert list(planned[0].plan) == ["wait: waits for db to be Ready"]


async def lines(client: Client, *keys: Any) -> dict[str, list[str]]:
    """The plan of a deletion, by name, without causes."""
    request = manifest_service_pb2.DeleteRequest(keys=keys, dry_run=True)
    answer = await checked(client.manifests.Delete(request, timeout=60))
    return {o.key.kind: [line.partition(":")[0] for line in o.plan] for o in answer.objects}


async def test_an_environment_shows_what_is_made_and_removed_with_it(
    client: Client, harness: Harness
) -> None:
    web = document(volumes=[{"source": "data", "target": "/data"}])
    directory = harness.state / "environments" / "test"
    told = ["create network: it is not there", f"create directory {directory}: it is not there"]
    given = (await client.apply(document("test", "Environment"), web, dry_run=True)).objects
    assert [list(found.plan) for found in given if found.key.kind == "Environment"] == [told]
    implied = (await client.apply(web, dry_run=True)).objects[1]
    assert (implied.key.kind, implied.action, list(implied.plan)) == ("Environment", 1, told)
    assert not harness.driver.changes

    await client.apply(web)
    await client.wait()
    assert [o.key.kind for o in (await client.apply(web, dry_run=True)).objects] == ["Workload"]
    gone = ["remove network e2e-test", "remove volume e2e-test.data", f"remove directory {directory}"]
    assert (await lines(client, key("test", kind="Environment")))["Environment"] == gone
    assert (await lines(client, key()))["Environment"] == gone  # it goes with the last of its objects


async def test_an_environment_that_stays_says_why(client: Client, harness: Harness) -> None:
    await client.apply(document())
    harness.write("test/db.json", document("db"))
    await client.wait(key(), key("db"))
    own = key("test", kind="Environment")
    assert (await lines(client, own))["Environment"] == ["keep"]
    assert "Environment" not in await lines(client, key())
    hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
    await hold.read()
    request = manifest_service_pb2.DeleteRequest(keys=[key("db"), own], dry_run=True)
    answer = await checked(client.manifests.Delete(request, timeout=60))
    assert list(answer.objects[-1].plan) == ["keep: a client holds it"]
    hold.cancel()
