"""Environments that were held when the controller ended, and claims and ends that go wrong."""

import json
import os
import shutil
from pathlib import Path

import pytest

from e2e_api.errors import E2EError
from e2e_api.v1 import environment_service_pb2
from e2e_controller import claims, ends
from e2e_controller.drivers.inventory import Owner
from e2e_controller.marks import Marks
from e2e_controller.state_folder import OwnerState, StateLock, attended_at, owner_state, read_controller_id

from .conftest import Client, Goal, Harness, checked, document, eventually, key


def leave(harness: Harness, environment: str, mark: str | None) -> Path:
    """As a controller that was killed leaves an environment."""
    manifest = harness.state / "manifests" / environment / "workload.web.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps(document()))
    if mark is not None:
        (harness.state / "leases").mkdir(exist_ok=True)
        (harness.state / "leases" / environment).write_text(mark)
    return manifest


async def hold(client: Client, *, keep: bool = False) -> None:
    request = environment_service_pb2.HoldRequest(environment="test", keep=keep)
    await checked(client.environments.Hold(request).read())


def evictions(harness: Harness) -> float:
    return harness.sample("e2e_evictions_total")


async def test_what_was_held_goes_and_what_was_not_stays(harness: Harness) -> None:
    held = leave(harness, "held", '{"environment": "held", "keep": false}\n')
    torn = leave(harness, "torn", '{"environ')
    empty = leave(harness, "empty", "")
    kept = leave(harness, "kept", '{"environment": "kept", "keep": true}\n')
    free = leave(harness, "free", None)
    async with harness.running() as client:
        await client.wait(key("web", "kept"), key("web", "free"))
        await eventually(lambda: set(harness.engine.networks) == {"kept", "free"})
        await eventually(lambda: not list((harness.state / "leases").iterdir()))
        assert evictions(harness) == 3
    assert [path.exists() for path in (held, torn, empty, kept, free)] == [False, False, False, True, True]


async def test_writes_that_were_cut_off_leave_nothing(harness: Harness) -> None:
    manifests, marks = harness.state / "manifests", harness.state / "leases"
    for folder in (manifests / "half", marks):
        folder.mkdir(parents=True)
        (folder / ".abc123.tmp").write_text('{"apiVersion"')
    (manifests / ".abc123.tmp").write_text("x")
    leave(harness, "whole", None)
    async with harness.running() as client:
        await client.wait(key("web", "whole"))
        assert [path.name for path in manifests.iterdir()] == ["whole"]
        assert not list(marks.glob("*"))


async def test_a_fresh_start_forgets_that_the_last_one_was_kept(client: Client, harness: Harness) -> None:
    for keep in (True, False):
        request = environment_service_pb2.HoldRequest(environment="test", keep=keep, fresh=True)
        call = client.environments.Hold(request)
        await call.read()
        await client.apply(document())
        await client.wait()
        call.cancel()
        await eventually(lambda: harness.manager._leases.count() == 0)
    await eventually(lambda: not harness.engine.networks)


async def test_an_end_that_fails_is_tried_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = leave(harness, "held", "{}")
    monkeypatch.setattr(ends, "_FIRST_PAUSE", 0.01)
    failures = [OSError(28, "No space left on device")] * 2
    original = Marks.remove

    def remove(marks: Marks, environment: str) -> None:
        if failures:
            raise failures.pop()
        original(marks, environment)

    monkeypatch.setattr(Marks, "remove", remove)
    async with harness.running():
        await eventually(lambda: not list((harness.state / "leases").iterdir()))
        await eventually(lambda: not harness.engine.networks)
    assert not manifest.exists()
    assert "the end of environment held failed; again in 0.01s" in caplog.text


async def test_a_claim_that_cannot_be_kept_in_mind_changes_nothing(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    (harness.state / "leases").write_text("a file where the folder should be")
    with pytest.raises(E2EError, match="cannot keep in mind that test is held"):
        await hold(client, keep=True)
    assert harness.manager._leases.count() == 0
    assert harness.manager._leases.idle
    assert "test" in harness.engine.networks


async def delete_environment(client: Client) -> None:
    request = environment_service_pb2.DeleteEnvironmentRequest(environment="test")
    await checked(client.environments.DeleteEnvironment(request))


async def test_what_is_applied_after_a_deletion_is_not_taken_by_an_end_of_before(harness: Harness) -> None:
    async with harness.running(lease_grace=60) as client:
        request = environment_service_pb2.HoldRequest(environment="test")
        call = client.environments.Hold(request)
        await call.read()
        call.cancel()
        await eventually(lambda: not harness.manager._leases.idle and not harness.manager._leases.count())
        await delete_environment(client)
        assert harness.manager._leases.idle
        assert not list((harness.state / "leases").iterdir())
        await client.apply(document())
        await client.wait()
        assert harness.manager._leases.idle  # nothing runs that could take it


async def test_another_ttl_counts_at_once(client: Client, harness: Harness) -> None:
    await client.apply(document("test", "Environment", ttl="1h"), document())
    await client.wait()
    assert not harness.manager._leases.idle
    await client.apply(document("test", "Environment"))
    assert harness.manager._leases.idle
    await client.apply(document("test", "Environment", ttl="1h"))
    await client.apply(document("test", "Environment", ttl="100ms"))
    await eventually(lambda: not harness.engine.networks)
    assert evictions(harness) == 1


async def test_notes_of_objects_that_went_while_no_controller_ran_go_too(harness: Harness) -> None:
    gone = harness.write("test/gone.json", document("gone", state="Stopped"))
    harness.write("test/web.json", document(state="Stopped"))
    async with harness.running() as client:
        for name in ("gone", "web"):
            await client.wait(key(name), goal=Goal.WAIT_GOAL_STOPPED)
            note = harness.state / "rests" / f"test.workload.{name}"
            note.parent.mkdir(exist_ok=True)
            note.write_text("of a run that was ended on purpose")
    gone.unlink()
    harness.engine.containers.clear()
    async with harness.running():
        assert [path.name for path in (harness.state / "rests").iterdir()] == ["test.workload.web"]


async def test_a_controller_shows_that_it_runs(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2e_controller.claims.ATTENDING_SECONDS", 0.01)
    async with harness.running():
        os.utime(harness.state / "lock", (0, 0))
        await eventually(lambda: attended_at(harness.state) > 0)


async def test_a_controller_whose_state_folder_is_removed_makes_it_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To others it would be gone, and what it made be garbage."""
    monkeypatch.setattr(claims, "ATTENDING_SECONDS", 0.01)
    async with harness.running():
        identity = read_controller_id(harness.state)
        shutil.rmtree(harness.state)
        owner = Owner(identity or "", str(harness.state), "machine")
        await eventually(lambda: owner_state(owner, "machine") is OwnerState.LIVE)
        await eventually(lambda: read_controller_id(harness.state) == identity)


async def test_a_controller_ends_whose_state_folder_another_has(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "ATTENDING_SECONDS", 0.01)
    async with harness.running():
        (harness.state / "lock").unlink()
        with StateLock(harness.state, "the other"):
            await eventually(lambda: harness.manager._stopping.is_set())


@pytest.mark.parametrize("watches", [False, True])
async def test_a_claim_says_whether_it_is_its_holders_alone(harness: Harness, watches: bool) -> None:
    folders = {} if watches else {"folder": []}
    async with harness.running(lease_grace=60, **folders) as client:
        await hold(client)
        assert Marks(harness.state / "leases").read()["test"].exclusive is not watches
