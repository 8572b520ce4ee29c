import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e_api.errors import DEADLINE_MARGIN, Conflict, WaitFailed
from e2e_api.v1 import container_service_pb2, manifest_service_pb2, wait_service_pb2

from .conftest import RunE2E
from .fake import CliController, event, workload

MANIFEST = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: web}\nspec: {image: img:1}\n"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text(MANIFEST)
    return path


def test_apply_says_what_it_did(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    assert e2e("apply", "-f", manifest) == (0, "default/Workload/web created\n", "")
    assert e2e("apply", "-f", manifest) == (0, "default/Workload/web unchanged\n", "")
    assert e2e("apply", "-f", manifest, "--env", "other")[1] == "other/Workload/web created\n"


def test_apply_for_machines(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    _, out, _ = e2e("apply", "-f", manifest, "-o", "json")
    key = {"environment": "default", "kind": "Workload", "name": "web"}
    assert json.loads(out) == [{"key": key, "action": "APPLY_ACTION_CREATED"}]


def test_a_dry_run_shows_the_plan(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    _, out, _ = e2e("apply", "-f", manifest, "--dry-run", "--wait")
    assert out == "default/Workload/web created (dry run)\n  plan:\n    create img:1: it is not there\n"
    assert controller.objects == {}
    assert controller.asked(wait_service_pb2.WaitConditionsRequest) == []


def test_apply_sends_nothing_when_a_manifest_is_wrong(
    controller: CliController, e2e: RunE2E, manifest: Path
) -> None:
    wrong = manifest.with_name("wrong.yaml")
    wrong.write_text(MANIFEST.replace("image", "imagee"))
    code, out, err = e2e("apply", "-f", manifest.parent)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {wrong}:4:8: spec.imagee: unknown field; did you mean image?")
    assert controller.requests == []


def test_apply_can_wait(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    code, _, err = e2e("apply", "-f", manifest, "--wait", "--timeout", "20")
    assert code == 0
    assert "web: ready" in err
    (request,) = controller.asked(wait_service_pb2.WaitConditionsRequest)
    assert request.goal == wait_service_pb2.WAIT_GOAL_RECONCILED
    assert min(controller.deadlines) < 21 + DEADLINE_MARGIN  # those of other calls are longer


def test_a_failed_wait_ends_with_1_and_the_evidence(controller: CliController, e2e: RunE2E) -> None:
    def fail(request: Any) -> Iterator[Any]:
        failed = {
            "type": "Failed",
            "status": "CONDITION_STATUS_TRUE",
            "reason": "Exited",
            "message": "code 3",
        }
        container = {"state": "exited", "exitCode": 3, "lastLogLines": ["no such flag"]}
        found = workload("env", "web", conditions=[failed], container=container, summary="Failed")
        yield wait_service_pb2.WaitConditionsResponse(object=found)
        raise WaitFailed("never", details=[wait_service_pb2.WaitFailure(failed=[found])])

    controller.answers["WaitConditions"] = fail
    code, out, err = e2e("wait", "web", "--env", "env")
    assert (code, out) == (1, "")
    for evidence in ("error: web (environment env) is not ready", "Exited: code 3", "no such flag"):
        assert evidence in err


def test_wait_for_all_of_an_environment(controller: CliController, e2e: RunE2E) -> None:
    controller.add(workload("env", "a"))
    controller.add(workload("env", "b"))
    code, _, err = e2e("wait", "--env", "env", "--for", "stopped")
    assert code == 0
    assert err.endswith("2 objects are stopped\n")
    (request,) = controller.asked(wait_service_pb2.WaitConditionsRequest)
    assert [key.name for key in request.keys] == ["a", "b"]
    assert e2e("wait", "--env", "empty")[2] == "error: environment empty has no workloads and no jobs\n"


def test_get_as_a_table(controller: CliController, e2e: RunE2E) -> None:
    controller.add(workload("env", "web"))
    failed = {"type": "Failed", "status": "CONDITION_STATUS_TRUE", "reason": "Exited", "message": "code 3"}
    controller.add(workload("other", "bad", conditions=[failed], summary="Failed", endpoints=[]))
    code, out, _ = e2e("get")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == [
        *("ENVIRONMENT", "NAME", "KIND", "STATUS", "READY", "RESTARTS", "AGE", "IMAGE", "ENDPOINTS")
    ]
    assert lines[1].split() == [
        *("env", "web", "Workload", "Ready", "yes", "0", "-", "busybox:1.36", "http=127.0.0.1:21000")
    ]
    assert lines[2].split()[:5] == ["other", "bad", "Workload", "Failed", "no"]
    assert lines[3:] == ["", "other/Workload/bad: Exited: code 3"]


def test_get_for_machines(controller: CliController, e2e: RunE2E) -> None:
    controller.add(workload("env", "web"))
    assert e2e("get", "-o", "name")[1] == "env/Workload/web\n"
    (listed,) = json.loads(e2e("get", "-o", "json")[1])
    single = yaml.safe_load(e2e("get", "web", "-o", "yaml")[1])
    assert listed == single
    assert single["manifest"]["spec"] == {"image": "img:1"}
    assert json.loads(e2e("get", "--env", "empty", "-o", "json")[1]) == []


def test_get_of_what_is_not_there(controller: CliController, e2e: RunE2E) -> None:
    assert e2e("get") == (0, "", "nothing is there\n")
    assert e2e("get", "web", "--env", "env") == (1, "", "error: there is no Workload or Job web in env\n")


def test_get_watches(controller: CliController, e2e: RunE2E) -> None:
    def changes(_: Any) -> Iterator[Any]:
        yield manifest_service_pb2.WatchResponse(object=workload("env", "web", summary="Starting"))
        yield manifest_service_pb2.WatchResponse(synced=True)
        yield manifest_service_pb2.WatchResponse(object=workload("env", "other"))
        yield manifest_service_pb2.WatchResponse(gone=workload("env", "web").key)

    controller.answers["Watch"] = changes
    lines = e2e("get", "web", "--env", "env", "--watch")[1].splitlines()
    assert [line.split()[1:4] for line in lines] == [
        ["NAME", "KIND", "STATUS"],
        ["web", "Workload", "Starting"],
        ["web", "Workload", "Gone"],
    ]
    documents = [json.loads(line) for line in e2e("get", "web", "-w", "-o", "json")[1].splitlines()]
    assert documents[0]["status"]["summary"] == "Starting"
    assert documents[1] == {"key": {"environment": "env", "kind": "Workload", "name": "web"}, "gone": True}


def test_delete_by_name_waits_until_it_is_gone(controller: CliController, e2e: RunE2E) -> None:
    controller.add(workload("env", "web"))
    assert e2e("delete", "web")[:2] == (0, "env/Workload/web deleting\n")
    (request,) = controller.asked(wait_service_pb2.WaitConditionsRequest)
    assert request.goal == wait_service_pb2.WAIT_GOAL_DELETED
    code, _, err = e2e("delete", "web")
    assert code == 1
    assert "no environment has a Workload or Job web" in err


def test_delete_by_manifest_takes_what_is_gone_already(
    controller: CliController, e2e: RunE2E, manifest: Path
) -> None:
    assert e2e("delete", "-f", manifest) == (0, "default/Workload/web is not there\n", "")
    e2e("apply", "-f", manifest)
    assert e2e("delete", "-f", manifest, "--no-wait") == (0, "default/Workload/web deleting\n", "")


def test_delete_of_an_environment(controller: CliController, e2e: RunE2E) -> None:
    controller.add(workload("env", "web"))
    code, out, _ = e2e("delete", "--env", "env", "--all")
    assert (code, out) == (0, "env/Workload/web deleting\n")
    (request,) = controller.asked(wait_service_pb2.WaitConditionsRequest)
    assert [key.kind for key in request.keys] == ["Workload", "Environment"]
    assert e2e("delete", "--env", "env", "--all")[1] == "nothing is in environment env\n"


def test_delete_of_what_files_define_names_the_files(controller: CliController, e2e: RunE2E) -> None:
    mine = workload("env", "mine")
    mine.managed_by_api = False
    mine.source = "/manifests/mine.yaml:1"
    controller.add(mine)
    code, _, err = e2e("delete", "--env", "env", "--all")
    assert code == 1
    assert "env/Workload/mine: /manifests/mine.yaml:1" in err

    def refuse(_: Any) -> Iterator[Any]:
        raise Conflict("env/Workload/mine is defined by /manifests/mine.yaml:1")
        yield

    controller.add(mine)
    controller.answers["Delete"] = refuse
    assert e2e("delete", "mine")[2] == "error: env/Workload/mine is defined by /manifests/mine.yaml:1\n"


def test_logs_keep_both_streams_as_they_are(controller: CliController, e2e: RunE2E) -> None:
    controller.add(workload("env", "web"))
    controller.log = [("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"half")]
    assert e2e("logs", "web", "--tail", "5", "-f", "--since", "2030-01-01T00:00:00Z") == (
        0,
        "one\nhalf",
        "two\n",
    )
    (request,) = controller.asked(container_service_pb2.LogsRequest)
    assert (request.follow, request.tail, request.since.seconds) == (True, 5, 1893456000)
    e2e("logs", "web")
    assert not controller.asked(container_service_pb2.LogsRequest)[1].HasField("since")


def test_exec_passes_everything_on(
    controller: CliController, e2e: RunE2E, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(start: container_service_pb2.ExecStart) -> Iterator[Any]:
        assert list(start.command) == ["sh", "-c", "exit 3"]
        assert dict(start.env) == {"A": "b=c"}
        assert (start.user, start.working_dir, start.stdin) == ("1000", "/tmp", True)
        yield container_service_pb2.ExecResponse(stdout=b"\xffout")
        yield container_service_pb2.ExecResponse(stderr=b"err")
        yield container_service_pb2.ExecResponse(exit_code=3)

    pieces = [b"in", b"put", b""]
    monkeypatch.setattr(os, "read", lambda _number, _size: pieces.pop(0))
    controller.answers["Exec"] = answer
    line = ["exec", "web", "--env", "e", "--user", "1000", "--workdir", "/tmp", "-e", "A=b=c"]
    code, out, err = e2e(*line, "--stdin", "--", "sh", "-c", "exit 3")
    assert (code, out, err) == (3, "\ufffdout", "err")
    assert [request.stdin for request in controller.asked(container_service_pb2.ExecRequest)] == [
        b"in",
        b"put",
    ]


def test_events(controller: CliController, e2e: RunE2E) -> None:
    controller.events = [
        event("env", "web", "Create", "create img:1"),
        event("env", "web", "Exited", "x\ny", 3),
    ]
    lines = e2e("events", "--env", "env")[1].splitlines()
    assert lines[0].split() == ["AGE", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"]
    assert lines[2].split()[1:] == ["Warning", "Exited", "env/Workload/web", "3", "x", "y"]
    assert [found["reason"] for found in json.loads(e2e("events", "-o", "json")[1])] == ["Create", "Exited"]
    assert e2e("events", "other") == (0, "", "nothing has happened\n")


def test_describe(controller: CliController, e2e: RunE2E) -> None:
    found = workload(
        "env",
        "web",
        lastProbe={"success": True, "request": "GET http://x/", "answer": "200 OK", "attempts": 4},
        phases=[{"name": "start", "startedAt": "2030-01-01T10:11:12.345Z", "duration": "0.400s"}],
    )
    found.labels["app"] = "shop"
    controller.add(found)
    controller.events = [event("env", "web", "Create", "create img:1", 2)]
    controller.log = [("stdout", b"one\ntwo\n")]
    code, out, _ = e2e("describe", "web")
    assert code == 0
    told = " ".join(out.split())
    for part in (
        "Name: web Status: Ready",
        "Labels: app=shop",
        "Ready True - ProbeSucceeded",
        "Request: GET http://x/",
        "Answer: 200 OK (succeeded)",
        "start 10:11:12.345 0.400s",
        "http web:80 127.0.0.1:21000 tcp",
        "Normal Create 2 create img:1",
        "Last log lines: one two",
        "image: img:1",
    ):
        assert part in told, out


def test_describe_falls_back_on_the_lines_that_were_kept(controller: CliController, e2e: RunE2E) -> None:
    def refuse(request: Any) -> Iterator[Any]:
        assert request.masked
        raise WaitFailed("no container")
        yield

    controller.answers["Logs"] = refuse
    container = {"state": "exited", "exitCode": 3, "lastLogLines": ["the end"]}
    controller.add(workload("env", "web", container=container))
    out = e2e("describe", "web")[1]
    assert "Exit code: 3" in " ".join(out.split())
    assert "\n  the end" in out
