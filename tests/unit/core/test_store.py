"""The store: who defines what, what is told to whom, and that a bad file never hurts a good object."""

import asyncio
from pathlib import Path

import pytest

from e2e_api.conditions import Condition, ConditionType, Reason, Status
from e2e_controller.definitions import Claim
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.objects import ObjectStatus, Rejection, Source, environment_key
from e2e_controller.policy import make_judge, parse_policy
from e2e_controller.store import Store

from .builders import NOW, claim, environment, file_key, job, key, rejected, workload

TARGETS = [{"path": "/targets.json", "from": "MetricTargets"}]


class Harness:
    def __init__(self) -> None:
        self.queued: list[Key] = []
        self.events = EventLog(lambda: NOW)
        self.store = Store(self.queued.append, self.events)

    def set_file(self, path: str, *claims: object) -> None:
        self.store.set_file(path, file_key(path), claims)  # type: ignore[arg-type]


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_a_new_object_is_stored_queued_and_brings_its_environment(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    stored = harness.store.get(key())
    assert stored is not None
    assert (stored.generation, stored.settled, str(stored.source)) == (1, False, "a.yaml:1")
    assert {key(), environment_key("test")} <= set(harness.queued)
    assert harness.store.get(environment_key("test")) is not None


def test_a_new_object_brings_an_environment_whose_own_manifest_is_wrong(harness: Harness) -> None:
    own = environment_key("test")
    harness.set_file("env.yaml", rejected("env.yaml", own))
    before = harness.store.get(own)
    assert before is not None
    assert not harness.store.counts(before)
    harness.queued.clear()
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    assert harness.store.get(own) is before  # nothing else is true of it, but now it is needed
    assert own in harness.queued


def test_who_has_asked_for_credentials_is_known_until_the_environment_is_gone(harness: Harness) -> None:
    page = {"ports": {"http": 80}, "metrics": {"port": "http", "bearerToken": "secret"}}
    harness.set_file("a.yaml", claim("a.yaml", workload(**page)))
    harness.set_file(
        "b.yaml", claim("b.yaml", workload("other", ports={"http": 80}, metrics={"port": "http"}))
    )
    assert harness.store.guarded("test") == ["web"]
    harness.set_file("a.yaml")
    harness.store.forget(key(), 2)
    assert harness.store.guarded("test") == ["web"]
    harness.set_file("b.yaml")
    harness.store.forget(key("other"), 2)
    harness.store.forget(environment_key("test"), 2)
    assert harness.store.get(environment_key("test")) is None
    assert harness.store.guarded("test") == []


def test_the_same_manifest_again_is_no_change(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    before = harness.store.get(key())
    harness.queued.clear()
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    assert harness.queued == []
    assert harness.store.get(key()) is before


def test_another_manifest_is_a_new_generation(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    harness.set_file("a.yaml", claim("a.yaml", workload(image="busybox:2")))
    stored = harness.store.get(key())
    assert stored is not None
    assert stored.generation == 2


def test_a_removed_file_marks_its_objects_and_forget_drops_them(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    harness.store.remove_file("a.yaml")
    stored = harness.store.get(key())
    assert stored is not None
    assert stored.deleting
    harness.store.forget(key(), stored.generation)
    assert harness.store.get(key()) is None
    left = harness.store.get(environment_key("test"))
    assert left is not None
    assert left.deleting
    harness.store.forget(environment_key("test"), left.generation)
    assert harness.store.environments() == []


def test_what_comes_back_while_it_is_deleted_is_not_forgotten(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    harness.store.remove_file("a.yaml")
    deleting = harness.store.get(key())
    assert deleting is not None
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    harness.store.forget(key(), deleting.generation)
    stored = harness.store.get(key())
    assert stored is not None
    assert not stored.deleting
    assert stored.generation > deleting.generation


def test_the_first_file_keeps_a_key_and_the_second_is_told(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload(image="first"), 3))
    harness.set_file("b.yaml", claim("b.yaml", workload(image="second"), 7))
    stored, second = harness.store.get(key()), harness.store.get(file_key("b.yaml"))
    assert stored is not None
    assert stored.manifest == workload(image="first")
    assert stored.rejection is None
    assert second is not None
    accepted = second.status.condition(ConditionType.ACCEPTED)
    assert accepted is not None
    assert (accepted.status, accepted.reason) == (Status.FALSE, Reason.CONFLICT)
    assert "a.yaml:3" in accepted.message
    assert "b.yaml:7" in accepted.message
    assert [e.reason for e in harness.events.kept()] == [Reason.CONFLICT]


def test_the_second_file_takes_over_when_the_first_lets_go(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload(image="first")))
    harness.set_file("b.yaml", claim("b.yaml", workload(image="second")))
    harness.store.remove_file("a.yaml")
    stored = harness.store.get(key())
    assert stored is not None
    assert stored.manifest == workload(image="second")
    assert not stored.deleting
    assert harness.store.get(file_key("b.yaml")) is None


def test_a_rejected_version_leaves_the_last_good_one_in_force(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload(image="good")), claim("a.yaml", workload("other")))
    harness.set_file("a.yaml", rejected("a.yaml", key()), claim("a.yaml", workload("other")))
    stored, other = harness.store.get(key()), harness.store.get(key("other"))
    assert stored is not None
    assert stored.manifest == workload(image="good")
    assert stored.generation == 1
    accepted = stored.status.condition(ConditionType.ACCEPTED)
    assert accepted is not None
    assert accepted.status is Status.FALSE
    assert other is not None
    assert other.rejection is None


def test_an_unreadable_file_changes_nothing_but_statuses(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload(image="good")))
    rejection = Rejection(Reason.PARSE_ERROR, "a.yaml:2:1: not YAML", Source("a.yaml", 2))
    harness.store.reject_file("a.yaml", file_key("a.yaml"), rejection)
    stored, file = harness.store.get(key()), harness.store.get(file_key("a.yaml"))
    assert stored is not None
    assert stored.manifest == workload(image="good")
    assert stored.rejection == rejection
    assert file is not None
    assert file.rejection == rejection
    harness.set_file("a.yaml", claim("a.yaml", workload(image="good")))
    stored = harness.store.get(key())
    assert stored is not None
    assert stored.rejection is None
    assert harness.store.get(file_key("a.yaml")) is None


def test_a_file_tells_both_what_is_wrong_and_what_another_had_first(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    nameless = rejected("b.yaml", file_key("b.yaml"), message="b.yaml:9:1: kind is missing")
    harness.set_file("b.yaml", claim("b.yaml", workload()), nameless)
    file = harness.store.get(file_key("b.yaml"))
    assert file is not None
    assert file.rejection is not None
    assert file.rejection.message == (
        "b.yaml:9:1: kind is missing; b.yaml:1 defines test/Workload/web too, but a.yaml:1 has it already; "
        "rename or remove one of them"
    )
    assert file.rejection.reason == "Rejected"
    assert [event.message for event in harness.events.kept()][-1] == file.rejection.message
    harness.store.remove_file("a.yaml")
    file = harness.store.get(file_key("b.yaml"))
    assert file is not None
    assert file.rejection == nameless.rejection


def test_an_object_that_never_was_valid_goes_without_a_reconcile(harness: Harness) -> None:
    harness.set_file("a.yaml", rejected("a.yaml", key()))
    assert harness.store.get(key()) is not None
    assert harness.store.get(environment_key("test")) is None
    harness.store.remove_file("a.yaml")
    assert harness.store.get(key()) is None


def test_environment_defaults_queue_all_its_objects(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    harness.queued.clear()
    harness.set_file("e.yaml", claim("e.yaml", environment(labels={"team": "a"})))
    assert key() in harness.queued


def test_a_pinned_environment_stays_without_objects(harness: Harness) -> None:
    harness.store.pin("test")
    assert harness.store.get(environment_key("test")) is not None
    harness.store.unpin("test")
    left = harness.store.get(environment_key("test"))
    assert left is not None
    assert left.deleting


def test_select_by_environment_kind_and_labels(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload("b")), claim("a.yaml", workload("a")))
    assert [o.key.name for o in harness.store.select("test", "Workload")] == ["a", "b"]
    assert harness.store.select("elsewhere") == []
    assert harness.store.select("test", "Workload", {"app": "x"}) == []


async def test_a_slow_subscriber_hears_of_each_key_once(harness: Harness) -> None:
    subscription = harness.store.subscribe(lambda changed: changed.kind == "Workload")
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    for number in range(50):
        harness.store.set_status(key(), ObjectStatus(progress=str(number)))
    assert await asyncio.wait_for(subscription.changed(), 60) == [key()]
    stored = harness.store.get(key())
    assert stored is not None
    assert stored.status.progress == "49"
    subscription.close()
    harness.store.set_status(key(), ObjectStatus(progress="later"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(subscription.changed(), 0.01)


def test_versions_grow_and_an_equal_status_is_none(harness: Harness) -> None:
    harness.set_file("a.yaml", claim("a.yaml", workload()))
    harness.store.set_status(key(), ObjectStatus(progress="x"))
    first = harness.store.get(key())
    harness.store.set_status(key(), ObjectStatus(progress="x"))
    assert harness.store.get(key()) is first
    harness.store.set_status(key(), ObjectStatus(progress="y"))
    second = harness.store.get(key())
    assert first is not None
    assert second is not None
    assert second.version > first.version


@pytest.mark.parametrize(
    ("after", "looked_at"),
    [
        ({"ports": {"http": 80}, "metrics": {"port": "http", "path": "/other"}}, True),
        ({"ports": {"http": 81}, "metrics": {"port": "http"}}, True),
        ({"ports": {"http": 80}, "profiles": {"port": "http"}, "metrics": {"port": "http"}}, True),
        ({"ports": {"http": 80}}, True),
        (None, True),
        ({"ports": {"http": 80}, "metrics": {"port": "http"}, "env": {"A": "1"}}, False),
    ],
)
def test_who_has_a_file_of_targets_is_looked_at_when_one_changes(
    harness: Harness, after: dict[str, object] | None, looked_at: bool
) -> None:
    harness.set_file("p.yaml", claim("p.yaml", workload("prometheus", files=TARGETS)))
    harness.queued.clear()
    harness.set_file("a.yaml", claim("a.yaml", workload(ports={"http": 80}, metrics={"port": "http"})))
    assert key("prometheus") in harness.queued
    harness.queued.clear()
    harness.set_file("a.yaml", *([] if after is None else [claim("a.yaml", workload(**after))]))
    assert (key("prometheus") in harness.queued) is looked_at


def test_a_status_is_no_reason_to_look_at_files_of_targets(harness: Harness) -> None:
    harness.set_file("p.yaml", claim("p.yaml", workload("prometheus", files=TARGETS)))
    harness.set_file("a.yaml", claim("a.yaml", workload(ports={"http": 80}, metrics={"port": "http"})))
    harness.queued.clear()
    harness.store.set_status(key(), ObjectStatus(1, summary="Running"))
    assert harness.queued == []


def test_who_has_no_file_of_targets_any_more_is_left_alone(harness: Harness) -> None:
    for spec in ({"files": TARGETS}, {}):
        harness.set_file("p.yaml", claim("p.yaml", workload("prometheus", **spec)))
    harness.queued.clear()
    harness.set_file("a.yaml", claim("a.yaml", workload(ports={"http": 80}, metrics={"port": "http"})))
    assert key("prometheus") not in harness.queued


def test_what_is_denied_because_of_others_is_judged_again_only_when_some_are_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy, _ = parse_policy(b"objects: {total: 1}")
    store = Store(lambda _key: None, EventLog(lambda: NOW), judge=make_judge(policy, tmp_path))
    judged = list[Key]()
    judge = store.admission.denials
    monkeypatch.setattr(
        store.admission, "denials", lambda key, *rest: judged.append(key) or judge(key, *rest)
    )
    for name in ("a", "b", "c", "d"):
        store.set_file(name, file_key(name), [claim(name, workload(name))])
    privileged = workload("never", security={"privileged": True})
    store.set_file("never", file_key("never"), [claim("never", privileged)])
    assert len(judged) == 5  # a file that is new takes nothing away
    judged.clear()
    store.remove_file("a")
    store.forget(key("a"), 2)
    assert [found for found in judged if found != key("never")] == judged
    accepted = [o.key.name for o in store.select(kind="Workload") if o.rejection is None]
    assert accepted == ["b"]


def failed(harness: Harness, name: str, reason: Reason) -> None:
    found = harness.store.get(key(name))
    assert found is not None
    condition = Condition(ConditionType.FAILED, Status.TRUE, reason)
    harness.store.set_status(key(name), ObjectStatus(found.generation, (condition,)))


def is_settled(harness: Harness, name: str) -> bool:
    found = harness.store.get(key(name))
    assert found is not None
    return found.settled


def test_what_a_dependency_failed_has_failed_no_more_once_that_is_another(harness: Harness) -> None:
    """Also what depends on it in turn: who waits from now on is told how it goes, not how it went."""
    last = workload("last", dependsOn=[{"name": "next"}])
    harness.set_file("last.yaml", claim("last.yaml", last))
    harness.set_file("next.yaml", claim("next.yaml", workload("next", dependsOn=[{"name": "first"}])))
    ended = workload("ended", dependsOn=[{"name": "first"}])
    harness.set_file("ended.yaml", claim("ended.yaml", ended))
    harness.set_file("first.yaml", claim("first.yaml", workload("first")))
    failed(harness, "first", Reason.EXITED)
    failed(harness, "ended", Reason.EXITED)
    for name in ("next", "last"):
        failed(harness, name, Reason.DEPENDENCY_FAILED)
    assert is_settled(harness, "last")
    harness.set_file("first.yaml", claim("first.yaml", workload("first", env={"A": "1"})))
    assert [is_settled(harness, name) for name in ("next", "last", "ended")] == [False, False, True]


def test_doubts_about_what_waits_for_itself_come_to_an_end(harness: Harness) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        wanted = workload(name, dependsOn=[{"name": other}])
        harness.set_file(f"{name}.yaml", claim(f"{name}.yaml", wanted))
    for name in ("a", "b"):
        failed(harness, name, Reason.DEPENDENCY_FAILED)
    harness.store.doubt(key("a"))
    assert not is_settled(harness, "a")
    assert not is_settled(harness, "b")


def test_whose_name_another_had_has_failed_no_more_once_that_one_goes(harness: Harness) -> None:
    other = Key("test", "Job", "web")
    harness.set_file("job.yaml", Claim(other, Source("job.yaml", 1), job("web")))
    harness.set_file("web.yaml", claim("web.yaml", workload()))
    failed(harness, "web", Reason.NAME_CONFLICT)
    harness.set_file("job.yaml")
    assert not is_settled(harness, "web")
