"""What waits are met by, and what they say of why they were not."""

import asyncio
from types import SimpleNamespace

import pytest

from e2e_api.conditions import ConditionType
from e2e_api.errors import InvalidArgument, WaitFailed, WaitTimeout
from e2e_controller import workqueue
from e2e_controller.drivers.base import DriverError, Key
from e2e_controller.reconcile import patience
from e2e_controller.server.access import time_limit

from .conftest import Client, Goal, Harness, document, eventually, key

DB = Key("test", "Workload", "db")
WEB = Key("test", "Workload", "web")


@pytest.mark.parametrize(
    ("remaining", "margin", "seconds"),
    [(10.0, None, 9.8), (0.2, None, 0.1), (0.0, None, 0.0), (6.0, "5", 1.0), (5.3, "5", 0.3), (4.0, "5", 0)],
)
async def test_a_wait_ends_before_the_deadline_of_its_call(
    remaining: float, margin: str | None, seconds: float
) -> None:
    clock = asyncio.get_running_loop().time
    before = clock()
    limit = time_limit(call(remaining, margin))
    assert before + seconds - 1e-6 < limit < clock() + seconds + 1e-6


@pytest.mark.parametrize("margin", ["", "-1", "1e9", "nan", "soon", b"1"])
async def test_how_long_before_it_is_a_number_of_seconds(margin: str | bytes) -> None:
    with pytest.raises(InvalidArgument, match="metadata e2e-deadline-margin: expected seconds") as refused:
        time_limit(call(10, margin))
    assert refused.value.reason == "BadCaller"


def call(remaining: float, margin: str | bytes | None) -> SimpleNamespace:
    told = () if margin is None else (("e2e-deadline-margin", margin),)
    return SimpleNamespace(time_remaining=lambda: remaining, invocation_metadata=lambda: told)


async def test_a_deletion_that_is_stuck_says_what_keeps_it(
    client: Client, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workqueue, "BASE_DELAY", 0.01)
    monkeypatch.setattr(patience, "_SECONDS", 0.0)
    await client.apply(document())
    await client.wait()
    harness.driver.fail("remove", DriverError("device or resource busy"), times=1000)
    await client.delete(key())
    await harness.until(WEB, ConditionType.FAILED)
    with pytest.raises(WaitTimeout, match="device or resource busy") as failed:
        await client.wait(goal=Goal.WAIT_GOAL_DELETED, timeout=1)
    assert "it was deleted" not in str(failed.value)
    assert "it is being deleted (Deleting)" in str(failed.value)


async def test_a_wait_for_a_deletion_that_nobody_asked_for_says_so(client: Client) -> None:
    await client.apply(document())
    await client.wait()
    with pytest.raises(WaitTimeout, match="nobody has deleted it; it is Running"):
        await client.wait(goal=Goal.WAIT_GOAL_DELETED, timeout=0.3)


async def test_an_environment_that_stays_says_what_is_in_it(client: Client, harness: Harness) -> None:
    await client.apply(document(stop={"gracePeriod": "20s"}))
    await client.wait()
    harness.driver.latency["stop"] = 20.0
    await client.apply(document(stop={"gracePeriod": "20s"}, state="Stopped"))
    environment = key("test", kind="Environment")
    await eventually(lambda: harness.manager._store.get(WEB).status.summary == "Stopping")
    with pytest.raises(WaitTimeout, match="it still has Workload web") as late:
        await client.wait(environment, goal=Goal.WAIT_GOAL_DELETED, timeout=0.5)
    assert "(Stopping: state is Stopped; it has 20s to end, then it is killed)" in str(late.value)
    harness.driver.latency.clear()


@pytest.mark.parametrize("state", ["Running", "Paused"])
async def test_a_container_of_the_spec_before_is_not_the_one_that_is_waited_for(
    client: Client, harness: Harness, state: str
) -> None:
    web = {"dependsOn": [{"name": "db", "condition": "Started"}], "state": state}
    await client.apply(document("db"), document(**web))
    await client.wait(key(), key("db"), goal=Goal.WAIT_GOAL_RECONCILED)
    await harness.end(DB, 1)
    web["dependsOn"] = [{"name": "db", "condition": "Ready"}]
    await client.apply(document(**web, env={"A": "2"}))
    goal = Goal.WAIT_GOAL_RUNNING if state == "Running" else Goal.WAIT_GOAL_PAUSED
    with pytest.raises(WaitFailed, match="DependencyFailed"):
        await client.wait(goal=goal)
    assert "A" not in harness.driver.container(WEB).spec.env  # the old one is still there
