"""A policy file that changes while the controller runs."""

from pathlib import Path

import pytest

from e2e_api.errors import PolicyDenied, WaitFailed
from e2e_api.v1 import event_service_pb2
from e2e_controller.policy import load_policy, make_judge, parse_policy
from e2e_controller.server.policy_file import PolicyFile
from e2e_controller.server.renewal import RenewalError, Stamp

from .conftest import Client, Harness, document, eventually, key
from .test_policy import PRIVILEGED, eventually_accepted, in_test, policy, refused
from .transport import TEAM, guarded, table


def reads(harness: Harness, result: str = "success") -> float:
    return harness.sample("e2e_renewals_total", result=result)


async def told(client: Client) -> list[tuple[str, str]]:
    """Reasons and messages of the events about the policy."""
    call = client.events.WatchEvents(event_service_pb2.WatchEventsRequest(kind="Policy"), timeout=60)
    return [(it.event.reason, it.event.message) async for it in call if not it.synced]


async def test_a_wider_policy_lets_in_what_was_denied(harness: Harness) -> None:
    harness.write("a.yaml", in_test(**PRIVILEGED))
    async with harness.running(policy=policy(harness)) as client:
        assert (await refused(client))[0] == "PolicyDenied"
        policy(harness, "privileged: true")
        await eventually_accepted(client, "web")
        await client.wait()
        await client.apply(document("other", **PRIVILEGED))
        assert [reason for reason, _ in await told(client)] == ["PolicyChanged"]


async def test_a_narrower_policy_is_for_what_comes(harness: Harness) -> None:
    """What runs goes on, until its file changes or its container is started again."""
    harness.write("a.yaml", in_test(**PRIVILEGED))
    async with harness.running(policy=policy(harness, "privileged: true")) as client:
        await client.wait()
        before = (await client.get()).status.container.id
        policy(harness, "privileged: false")
        await eventually(lambda: reads(harness))
        with pytest.raises(PolicyDenied, match="policy rule privileged denies"):
            await client.apply(document("other", **PRIVILEGED))
        harness.write("b.yaml", in_test("good"))
        await client.wait(key("good"), key())
        assert (await client.get()).status.container.id == before
        assert await refused(client) == ("", "")
        harness.write("a.yaml", in_test(**PRIVILEGED, env={"A": "1"}))
        with pytest.raises(WaitFailed, match="policy rule privileged"):
            await client.wait()
        await eventually(lambda: len(harness.engine.containers) == 1)


async def test_what_counts_is_not_judged_again_because_of_others(harness: Harness) -> None:
    """Nor are an environment's defaults, which belong to all that is in it."""
    data = harness.state.with_name("data")
    data.mkdir()
    volumes = [{"source": str(data), "target": "/x"}]
    harness.write("a.yaml", document("test", "Environment", volumes=volumes), in_test(**PRIVILEGED))
    async with harness.running(
        policy=policy(harness, f"privileged: true\nhostPaths: [{{path: {data}}}]")
    ) as client:
        await client.wait()
        before = (await client.get()).status.container.id
        assert await refused(client, "test", "Environment") == ("", "")
        policy(harness)
        await eventually(lambda: reads(harness))
        harness.write("b.yaml", in_test("other"))
        with pytest.raises(WaitFailed, match="policy rule hostPaths"):  # of its environment's defaults
            await client.wait(key("other"))
        both = document("test", "Environment", volumes=volumes), in_test(**PRIVILEGED)
        harness.write("a.yaml", *both, in_test("third", **PRIVILEGED))
        with pytest.raises(WaitFailed, match="policy rule privileged"):
            await client.wait(key("third"))
        assert (await client.get()).status.container.id == before
        assert await refused(client, "test", "Environment") == ("", "")


async def test_the_guard_before_the_engine_heeds_it(harness: Harness) -> None:
    """Also where nothing had to be guarded at the start; and what it denied is tried at once with another."""
    file = policy(harness).replace("policy.yaml", "other.yaml")
    harness.state.with_name("other.yaml").write_text("extends: permissive\n")
    async with harness.running(policy=file) as client:
        harness.driver.hang("image_present")
        await client.apply(document(image="x:latest"))
        await eventually(lambda: [c for c in harness.driver.calls if c.startswith("image_present")])
        harness.state.with_name("other.yaml").write_text("images: {deniedTags: [latest]}\n")
        await eventually(lambda: reads(harness))
        harness.driver.release("image_present")
        with pytest.raises(WaitFailed, match=r"images\.deniedTags denies") as failed:
            await client.wait()
        assert failed.value.reason == "PolicyDenied"
        assert not [c for c in harness.driver.calls if c.startswith("pull ")]
        harness.driver.pullable.add("x:latest")
        harness.state.with_name("other.yaml").write_text("extends: permissive\n")
        await eventually(lambda: reads(harness) == 2)
        await eventually(lambda: [c for c in harness.driver.calls if c.startswith("pull ")], timeout=30)
        await client.wait()


async def test_a_wrong_policy_leaves_the_one_before_in_force(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness.running(policy=policy(harness)) as client:
        policy(harness, "privileged: sure")
        await eventually(lambda: reads(harness, "error"))
        await eventually(lambda: "policy.yaml:2:13: privileged: expected true or false" in caplog.text)
        with pytest.raises(PolicyDenied, match="policy rule privileged denies"):
            await client.apply(document(**PRIVILEGED))
        ((reason, message),) = await told(client)
        assert reason == "PolicyRefused"
        assert message.startswith("the policy before stays in force: ")
        assert "policy.yaml:2:13: privileged" in message
        assert caplog.text.count("stays in force") == 1
        policy(harness, "privileged: true")
        await eventually(lambda: reads(harness))
        await client.apply(document(**PRIVILEGED))


async def test_who_has_a_few_environments_hears_nothing_of_the_policy(harness: Harness) -> None:
    settings = {"tokens": table(harness), "policy": policy(harness)}
    async with guarded(harness, **settings) as served, served.client(TEAM) as client:
        policy(harness, "privileged: true")
        await eventually(lambda: reads(harness))
        assert await told(served.local)
        assert await told(client) == []


def test_a_file_with_the_name_of_a_policy_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("permissive").write_text("privileged: false\n")
    judge = make_judge(load_policy("./permissive"), tmp_path)
    assert not judge.policy.privileged
    watched = PolicyFile(Path("./permissive"), judge, Stamp(()))
    assert not watched.renew()
    assert watched.renew()
    assert not judge.policy.privileged


def test_a_file_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    """Half a list, or half a path, may be a valid one."""
    file = tmp_path / "policy.yaml"
    file.write_text("hostPaths:\n- path: /srv/data\n")
    judge = make_judge(parse_policy(file.read_bytes())[0], tmp_path)
    watched = PolicyFile(file, judge, Stamp.of([file]))
    assert not watched.renew()
    file.write_text("hostPaths:\n- path: /srv")
    assert not watched.renew()
    file.write_text("hostPaths:\n- path: /srv/other\n")
    assert not watched.renew()
    assert watched.renew()
    assert [item.path for item in judge.policy.host_paths] == ["/srv/other"]
    assert not watched.renew()
    file.unlink()
    assert not watched.renew()
    for _ in range(2):
        with pytest.raises(RenewalError, match="No such file"):
            watched.renew()
    assert [item.path for item in judge.policy.host_paths] == ["/srv/other"]
