from typing import Any

from google.protobuf.json_format import ParseDict

from e2e import Goal, NotFound, Unavailable, WaitFailed, WaitTimeout, evidence, metric_evidence
from e2e_api.v1 import metric_service_pb2, object_pb2, wait_service_pb2

from .fake_controller import ready_object, sample

KEYS = [object_pb2.ObjectKey(environment="env", kind="Workload", name=name) for name in ("web", "db")]


def exited(name: str = "web", version: int = 7, lines: int = 30) -> object_pb2.Object:
    conditions = [
        {"type": "Accepted", "status": "CONDITION_STATUS_TRUE", "reason": "Valid"},
        {"type": "Running", "status": "CONDITION_STATUS_FALSE", "reason": "Exited"},
        {"type": "Ready", "status": "CONDITION_STATUS_FALSE", "reason": "Exited"},
        {
            "type": "Failed",
            "status": "CONDITION_STATUS_TRUE",
            "reason": "Exited",
            "message": "the container exited with code 3",
        },
    ]
    status: dict[str, Any] = {
        "conditions": conditions,
        "summary": "Failed",
        "container": {
            "state": "exited",
            "exitCode": 3,
            "oomKilled": True,
            "restartCount": 2,
            "lastLogLines": [f"line {number}" for number in range(lines)],
        },
        "lastProbe": {"request": "GET http://172.17.0.2:80/", "answer": "connection refused", "attempts": 4},
    }
    key = {"environment": "env", "kind": "Workload", "name": name}
    message = {"key": key, "version": version, "source": "/m/web.yaml:1", "status": status}
    return ParseDict(message, object_pb2.Object())


def test_a_failed_wait_tells_what_why_and_the_evidence_in_this_order() -> None:
    error = WaitFailed(
        "never will be", reason="Exited", details=[wait_service_pb2.WaitFailure(failed=[exited(lines=3)])]
    )
    seen = {"web": wait_service_pb2.WaitConditionsResponse(object=exited())}
    found = evidence.explain_wait(error, KEYS, Goal.READY, 1.23, seen)
    assert type(found) is WaitFailed
    assert found.reason == "Exited"
    assert list(found.failed[0].status.container.last_log_lines) == [f"line {n}" for n in range(30)]
    assert str(found).splitlines() == [
        "web, db (environment env) are not ready: it can no longer be, known after 1.2 s",
        "  web: Exited: the container exited with code 3",
        "    conditions: Accepted=True (Valid), Running=False, Ready=False, Failed=True",
        "    last probe failed: GET http://172.17.0.2:80/: connection refused (attempt 4)",
        "    container: exited with code 3, out of memory (OOM killed), restarted 2 times",
        "    last log lines:",
        *(f"      line {number}" for number in range(10, 30)),
        "    defined in /m/web.yaml:1",
    ]


def test_newer_details_win_over_an_older_stream() -> None:
    error = WaitFailed("x", details=[wait_service_pb2.WaitFailure(failed=[exited(version=9, lines=1)])])
    seen = {"web": wait_service_pb2.WaitConditionsResponse(object=exited(version=8, lines=5))}
    assert "line 4" not in str(evidence.explain_wait(error, KEYS, Goal.READY, 1, seen))


def test_a_timeout_without_details_uses_what_was_streamed() -> None:
    pending = ready_object("env", "web", summary="Starting", progress="pulling 42%")
    del pending.status.conditions[:]
    seen = {
        "web": wait_service_pb2.WaitConditionsResponse(object=pending),
        "db": wait_service_pb2.WaitConditionsResponse(object=ready_object("env", "db"), met=True),
    }
    text = str(evidence.explain_wait(WaitTimeout("late"), KEYS, Goal.READY, 60, seen))
    assert text.splitlines()[:2] == [
        "web, db (environment env) are not ready: waited 60.0 s",
        "  web: pulling 42%",
    ]
    assert "db:" not in text


def test_a_timeout_with_nothing_known_has_the_controllers_words() -> None:
    text = str(evidence.explain_wait(WaitTimeout("Deadline Exceeded"), KEYS[:1], Goal.STOPPED, 2, {}))
    assert text == "web (environment env) is not stopped: waited 2.0 s\n  Deadline Exceeded"


def test_a_metric_timeout_shows_the_history() -> None:
    failure = metric_service_pb2.MetricFailure(
        expected="equals(2)",
        history=[sample(at=10, a=None), sample(at=10.25, error="connection refused"), sample(at=11, a=1.0)],
        scrapes=9,
        similar=["aa", "ab"],
        object=ready_object("env", "web"),
    )
    error = WaitTimeout("late", details=[failure])
    found = metric_evidence.explain_metrics(error, "equals(2)", ["a"], "web", 5, [])
    assert str(found).splitlines() == [
        "a of web did not become equals(2): waited 5.0 s",
        "  last values, oldest first:",
        "    +0.0s  a = absent",
        "    +0.2s  connection refused",
        "    +1.0s  a = 1",
        "  names on the page like it: aa, ab",
        "  looked 9 times",
    ]


def test_a_metric_timeout_shows_all_that_was_seen() -> None:
    first, last = sample(at=10, m=3.0), sample(at=12, m=4.0)
    for message, value in ((first, 1), (last, 2)):
        message.workloads.add(workload="a").sums.add(name="m", value=value)
        message.workloads.add(workload="b").sums.add(name="m")
    last.sums[0].change = 1 / 3
    failure = metric_service_pb2.MetricFailure(
        history=[first, last],
        last_error=sample(at=11, error="a: GET http://x: 503"),
        matched=[metric_service_pb2.Series(name="m", labels={"code": "200"}, value=2, workload="a")],
        matched_count=7,
        label_misses=[
            metric_service_pb2.LabelMiss(name="n", matcher='cod="2"', unknown_label=True, there=["code"]),
            metric_service_pb2.LabelMiss(name="n", matcher='code="20"', there=["200", "204"]),
            metric_service_pb2.LabelMiss(name="o", matcher='code="20"', unknown_label=True),
        ],
        scrapes=99,
        object=ready_object("env", "a"),
    )
    failure.longest_held.FromMilliseconds(1200)
    error = WaitTimeout("late", details=[failure])
    found = metric_evidence.explain_metrics(error, "x", ["m", "n"], "a, b", 5, unit=" per second")
    assert str(found).splitlines() == [
        "m, n of a, b did not become x: waited 5.0 s",
        "  last values, oldest first:",
        "    +0.0s  m = 3 (a 1, b absent)",
        "    +2.0s  m = 4 (changed by 0.333333 per second; a 2, b absent)",
        "  last failed look: +1.0s  a: GET http://x: 503",
        "  it held for 1.2 s at most",
        "  series that match:",
        '    a: m{code="200"} 2',
        "    and 6 more",
        '  cod="2": no series of n has that label; they have code',
        '  code="20": no series of n has such a value; they have "200", "204"',
        '  code="20": no series of o has that label; they have none',
        "  looked 99 times",
    ]
    assert found.metrics == failure


def test_a_metric_wait_on_what_exited_shows_the_container() -> None:
    error = WaitFailed("it exited", details=[metric_service_pb2.MetricFailure(object=exited())])
    text = str(metric_evidence.explain_metrics(error, "equals(2)", ["a", "b"], "web", 5))
    assert text.startswith("a, b of web did not become equals(2): it can no longer be, known after 5.0 s")
    assert text.splitlines()[1] == "  web: Exited: the container exited with code 3"
    assert "line 29" in text


def test_an_absent_metric_has_the_controllers_words() -> None:
    text = str(
        metric_evidence.explain_metrics(NotFound("a is not on the page"), "equals(2)", ["a"], "web", 1)
    )
    assert text == "a of web did not become equals(2): the wait ended after 1.0 s\n  a is not on the page"


def test_the_reason_is_the_condition_that_stands_in_the_way() -> None:
    found = ready_object("env", "web")
    del found.status.conditions[:]
    false = object_pb2.CONDITION_STATUS_FALSE
    found.status.conditions.add(type="Ready", status=false, reason="Pending")
    found.status.conditions.add(
        type="ImageReady", status=false, reason="ImagePullFailed", message="no such tag"
    )
    assert evidence.reason_line(found, Goal.READY) == "web: ImagePullFailed: no such tag"


def test_a_description_is_a_table_with_the_evidence_of_the_unready() -> None:
    text = evidence.describe([ready_object("env", "a"), exited("longer")])
    assert text.splitlines()[:3] == [
        "a       Ready",
        "longer  Failed",
        "longer: Exited: the container exited with code 3",
    ]
    assert evidence.describe([]) == "nothing is in the environment"


def test_what_does_not_exist_was_waited_for_all_the_same() -> None:
    text = str(
        evidence.explain_wait(NotFound("env/Workload/web does not exist"), KEYS[:1], Goal.READY, 0, {})
    )
    assert text.splitlines() == [
        "web (environment env) is not ready: the wait ended after 0.0 s",
        "  env/Workload/web does not exist",
    ]


def test_a_timeout_tells_of_all_that_were_late() -> None:
    late = {name: ready_object("env", name) for name in "abcdef"}
    seen = {name: wait_service_pb2.WaitConditionsResponse(object=found) for name, found in late.items()}
    few = wait_service_pb2.WaitFailure(failed=[late["a"], late["b"], late["c"]])
    found = evidence.explain_wait(WaitTimeout("late", details=[few]), KEYS, Goal.READY, 1, seen)
    assert [item.key.name for item in found.failed] == list("abcdef")


def test_what_was_told_is_not_told_again() -> None:
    found = exited(lines=1)
    probe, container = found.status.last_probe, found.status.container
    found.status.conditions[-1].message = f"exited with code 3; {probe.request}: {probe.answer}; no such file"
    container.oom_killed, container.restart_count, container.error = False, 0, "no such file"
    found.managed_by_api = True
    error = WaitFailed("x", reason="Exited", details=[wait_service_pb2.WaitFailure(failed=[found])])
    assert str(evidence.explain_wait(error, KEYS[:1], Goal.READY, 1, {})).splitlines()[2:] == [
        "    conditions: Accepted=True (Valid), Running=False, Ready=False, Failed=True",
        "    last log lines:",
        "      line 0",
    ]


def test_a_probe_without_an_answer_has_neither_failed_nor_succeeded() -> None:
    found = exited()
    found.status.last_probe.answer, found.status.last_probe.attempts = "", 0
    found.status.container.restart_count = 1
    lines = evidence.object_lines(found)
    assert "last probe: GET http://172.17.0.2:80/: no answer yet" in lines
    assert "container: exited with code 3, out of memory (OOM killed), restarted once" in lines


def test_what_is_known_of_an_older_manifest_is_no_reason() -> None:
    found = ready_object("env", "web", observedGeneration=1)
    found.generation = 2
    assert evidence.reason_line(found, Goal.READY) == (
        "web: its newest manifest was not acted on yet; what follows is of the one before"
    )
    found.generation = 1
    assert evidence.reason_line(found, Goal.READY) == "web: ProbeSucceeded"


def test_what_was_deleted_is_told_as_that() -> None:
    running = ready_object("env", "web")
    running.deleting = True
    gone = object_pb2.Object(key=KEYS[1])
    error = WaitFailed("x", reason="Deleted", details=[wait_service_pb2.WaitFailure(failed=[running, gone])])
    text = str(evidence.explain_wait(error, KEYS, Goal.READY, 1, {}))
    assert "  web: Deleted: it was deleted meanwhile\n" in text
    assert text.endswith("  db: Deleted: it was deleted meanwhile")


def test_what_is_not_gone_has_the_controllers_words() -> None:
    failure = wait_service_pb2.WaitFailure(failed=[ready_object("env", "web")])
    error = WaitTimeout("waited for deleted; not in time:\n  web: busy", details=[failure])
    text = str(evidence.explain_wait(error, KEYS[:1], Goal.DELETED, 2, {}))
    assert text == "web (environment env) is not deleted: waited 2.0 s\n  web: busy"


def test_a_reason_of_several_lines_is_indented() -> None:
    found = exited(lines=0)
    found.status.conditions[-1].message = "build failed\nStep 1/2: FROM x"
    error = WaitFailed("x", reason="Exited", details=[wait_service_pb2.WaitFailure(failed=[found])])
    assert str(evidence.explain_wait(error, KEYS[:1], Goal.READY, 1, {})).splitlines()[1:3] == [
        "  web: Exited: build failed",
        "    Step 1/2: FROM x",
    ]


def test_a_timeout_shows_the_log_of_what_runs() -> None:
    seen = {"web": wait_service_pb2.WaitConditionsResponse(object=ready_object("env", "web"))}
    error = WaitTimeout("late")
    found = evidence.explain_wait(error, KEYS[:1], Goal.READY, 1, seen, {"web": ["connecting to db"]})
    assert "    last log lines:\n      connecting to db" in str(found)
    assert list(found.failed[0].status.container.last_log_lines) == ["connecting to db"]


def test_a_lost_controller_leaves_the_last_that_was_seen() -> None:
    seen = {"web": wait_service_pb2.WaitConditionsResponse(object=exited())}
    text = str(evidence.explain_wait(Unavailable("it is gone"), KEYS[:1], Goal.READY, 1, seen))
    assert text.splitlines()[1:3] == ["  it is gone", "  web: Exited: the container exited with code 3"]
