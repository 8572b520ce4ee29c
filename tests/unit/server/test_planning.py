"""Dry runs: what they say is what is then done, and they do nothing themselves."""

from typing import Any

import pytest

from e2e_api.v1 import event_service_pb2, manifest_service_pb2
from e2e_controller.server.differences import Change, differences

from .conftest import Client, Goal, Harness, checked, document, key

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


@pytest.mark.parametrize("name", CHANGES)
async def test_the_plan_is_what_is_then_executed(client: Client, harness: Harness, name: str) -> None:
    before, after, steps = CHANGES[name]
    harness.driver.pullable.add("later:1")
    if before is not None:
        await client.apply(document(**before))
        await client.wait(goal=Goal.WAIT_GOAL_RECONCILED)
    done = await executed(client)
    changes = list(harness.driver.changes)
    (planned,) = (await client.apply(document(**after), dry_run=True)).objects
    assert [line.split()[0].rstrip(":") for line in planned.plan] == steps
    assert harness.driver.changes == changes  # so far nothing was done
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
    from e2e_controller.drivers.base import Key

    harness.driver.add_foreign(Key("test", "Workload", "web"))
    (found,) = (await client.apply(document(), dry_run=True)).objects
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


async def test_what_a_file_defines_can_be_compared_but_not_changed(client: Client, harness: Harness) -> None:
    from e2e_api.errors import Conflict

    same = document()
    same["metadata"]["environment"] = "test"
    harness.write("test/web.json", same)
    await client.wait()
    (found,) = (await client.apply(same, dry_run=True)).objects
    assert (found.action, list(found.plan)) == (manifest_service_pb2.APPLY_ACTION_UNCHANGED, [])
    with pytest.raises(Conflict, match=r"web\.json:1; change that file"):
        await client.apply(document(env={"A": "b"}), dry_run=True)
