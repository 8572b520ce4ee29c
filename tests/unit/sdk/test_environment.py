"""The synchronous client against a fake controller; the asynchronous one is in test_async.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import e2e
from e2e import (
    Conflict,
    Environment,
    Goal,
    InvalidArgument,
    NotFound,
    NotRunning,
    Unavailable,
    WaitFailed,
    WaitTimeout,
    live,
)
from e2e.addresses import Target
from e2e_api.errors import DEADLINE_MARGIN
from e2e_api.parsing import parse_documents
from e2e_api.v1 import container_service_pb2 as containers
from e2e_api.v1 import environment_service_pb2 as environments
from e2e_api.v1 import manifest_service_pb2 as manifests
from e2e_api.v1 import wait_service_pb2 as waits

from .fake_controller import FakeController, ready_object, until


@pytest.fixture
def patient_with_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last lines may come late."""
    monkeypatch.setattr("e2e._sync.client._LOG_SECONDS", 60.0)


def applied(controller: FakeController) -> list[tuple[str, str]]:
    """(name, state) of every applied manifest, in order."""
    found = []
    for request in controller.asked(manifests.ApplyRequest):
        for document in parse_documents(request.documents.encode()):
            assert document.manifest is not None
            found.append((document.manifest.metadata.name, getattr(document.manifest.spec, "state", "")))
    return found


def test_a_block_claims_and_deletes(controller: FakeController, tmp_path: Path) -> None:
    with Environment("env") as env:
        assert controller.held == ["env"]
        hold = controller.asked(environments.HoldRequest)[0]
        assert (hold.environment, hold.fresh, hold.keep) == ("env", True, False)
        assert env.shared_dir == tmp_path / "shared"
        assert live.live == {"env": None}
    assert live.live == {}
    assert controller.asked(environments.DeleteEnvironmentRequest)[0].environment == "env"
    wait = controller.asked(waits.WaitConditionsRequest)[0]
    assert (wait.goal, wait.keys[0].kind, wait.keys[0].name) == (
        waits.WAIT_GOAL_DELETED,
        "Environment",
        "env",
    )
    until(lambda: controller.held == [])
    env.close()  # a second end does nothing


def test_a_kept_environment_is_not_deleted(controller: FakeController) -> None:
    with Environment("env", keep=True):
        assert controller.asked(environments.HoldRequest)[0].keep
    assert not controller.asked(environments.DeleteEnvironmentRequest)


def test_an_environment_of_somebody_else_is_a_conflict(controller: FakeController) -> None:
    with Environment("env"):
        with pytest.raises(Conflict, match="environment env is held by another client"), Environment("env"):
            pass
        assert controller.held == ["env"]
        assert not controller.asked(environments.DeleteEnvironmentRequest)


def test_unnamed_environments_are_named_after_the_test(controller: FakeController) -> None:
    with Environment() as first, Environment() as second:
        assert first.name.startswith("test-unnamed-environments-are-named-afte-")
        assert second.name == f"{first.name}-2"
    until(lambda: controller.held == [])
    with Environment() as third:
        assert third.name == first.name


def test_defaults_are_applied_first(controller: FakeController) -> None:
    with Environment("env", labels={"team": "a"}, resources=e2e.Resources(memory=10 * 2**20)):
        document = parse_documents(controller.asked(manifests.ApplyRequest)[0].documents.encode())[0]
        assert document.manifest is not None
        assert (document.manifest.kind, document.manifest.metadata.name) == ("Environment", "env")
        assert document.manifest.spec.resources.memory == 10 * 2**20  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{"name": "Not A Name"}, {"timeout": 0}])
def test_wrong_options_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Environment(**options)


def test_nothing_works_before_the_start() -> None:
    env = Environment("env")
    web = env.workload("web", image="x", ports={"http": 80})
    assert web.internal_endpoint("http") == "web:80"
    with pytest.raises(NotRunning, match="environment env is not started: use it in a `with` block"):
        web.start()
    with pytest.raises(NotRunning):
        _ = env.shared_dir
    with pytest.raises(InvalidArgument, match="is not a name for a workload"):
        env.workload("We B", image="x")


def test_a_controller_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(
            Unavailable, match="the controller at unix:/nowhere/s does not answer: there is no such socket"
        ),
        Environment("env", controller="unix:///nowhere/s"),
    ):
        pass
    assert live.live == {}


def test_of_a_lost_controllers_log_its_trouble_is_told(tmp_path: Path) -> None:
    log = tmp_path / "controller.log"
    log.write_text("10:00 INFO a: all is well\n10:01 ERROR b: it broke\nTraceback\n")
    target = Target("unix:/nowhere/s", log)
    with e2e.Client(target) as client, pytest.raises(Unavailable) as lost:
        client.list_environments()
    assert str(lost.value).splitlines() == [
        "the controller at unix:/nowhere/s does not answer: there is no such socket",
        f"  its log is {log}; of trouble it says at last:",
        "    10:01 ERROR b: it broke",
        "    Traceback",
    ]


def test_many_start_with_one_apply_and_one_wait(controller: FakeController) -> None:
    with Environment("env", timeout=70) as env:
        workloads = [env.workload(f"w{number}", image="x") for number in range(3)]
        controller.deadlines.clear()
        env.start_and_wait_ready(*workloads)
        assert len(controller.asked(manifests.ApplyRequest)) == 1
        wait = controller.asked(waits.WaitConditionsRequest)[0]
        assert [key.name for key in wait.keys] == ["w0", "w1", "w2"]
        assert wait.goal == waits.WAIT_GOAL_READY
        assert 35 < controller.deadlines[-1] < 71 + DEADLINE_MARGIN
        env.start_and_wait_ready()
        assert len(controller.asked(manifests.ApplyRequest)) == 1
        env.stop(*workloads[:2])
        assert applied(controller)[3:] == [("w0", "Stopped"), ("w1", "Stopped")]


def test_less_than_no_time_is_refused_before_anything_is_done(controller: FakeController) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x")
        with pytest.raises(InvalidArgument, match="timeout: expected seconds, 0 or more, not -1"):
            env.start_and_wait_ready(web, timeout=-1)
        assert applied(controller) == []


def test_a_timeout_shows_the_last_lines_of_what_runs(
    controller: FakeController, patient_with_logs: None
) -> None:
    def late(_: Any) -> Iterator[Any]:
        yield waits.WaitConditionsResponse(object=ready_object("env", "web"))
        raise WaitTimeout("not in time", reason="Timeout")

    def logs(_: Any) -> Iterator[Any]:
        yield containers.LogsResponse(data=b"connecting to db\n")

    with Environment("env") as env:
        web = env.workload("web", image="x")
        controller.answers |= {"WaitConditions": late, "Logs": logs}
        with pytest.raises(WaitTimeout, match="last log lines:\n      connecting to db") as raised:
            web.wait_ready(timeout=30)
        del controller.answers["WaitConditions"]
    assert list(raised.value.failed[0].status.container.last_log_lines) == ["connecting to db"]


def test_a_timeout_tells_that_the_engine_is_gone(controller: FakeController, patient_with_logs: None) -> None:
    def late(_: Any) -> Iterator[Any]:
        yield waits.WaitConditionsResponse(object=ready_object("env", "web"))
        raise WaitTimeout("not in time", reason="Timeout")

    def logs(_: Any) -> Iterator[Any]:
        raise Unavailable("the engine does not listen; start it", reason="EngineUnavailable")
        yield

    with Environment("env") as env:
        web = env.workload("web", image="x")
        controller.answers |= {"WaitConditions": late, "Logs": logs}
        with pytest.raises(WaitTimeout, match="could not be read: the engine does not listen; start it"):
            web.wait_ready(timeout=30)
        del controller.answers["WaitConditions"]


def test_the_states_of_a_workload(controller: FakeController) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x")
        assert not web.is_running()
        web.start()
        assert web.is_running()
        web.wait_ready(timeout=30)
        web.pause()
        web.unpause()
        web.stop()
        web.start()
        web.kill()
        web.remove()
        with pytest.raises(NotFound):
            web.status()
    assert applied(controller) == [
        ("web", state) for state in ("Running", "Paused", "Running", "Stopped", "Running", "Killed")
    ]
    goals = [request.goal for request in controller.asked(waits.WaitConditionsRequest)]
    names = ["READY", "PAUSED", "RUNNING", "STOPPED", "STOPPED", "DELETED", "DELETED"]
    assert goals == [waits.WaitGoal.Value(f"WAIT_GOAL_{name}") for name in names]


def test_endpoints(controller: FakeController) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x", ports={"http": 80, "grpc": 81})
        with pytest.raises(NotRunning, match="web does not run, so its port 'http' has no address"):
            web.endpoint("http")
        web.start()
        endpoints = [{"port": "http", "internal": "web:80", "external": "127.0.0.1:4000", "protocol": "tcp"}]
        controller.objects["env", "Workload", "web"] = ready_object("env", "web", endpoints=endpoints)
        assert web.endpoint("http") == "127.0.0.1:4000"
        assert web.status().endpoints["http"].internal == "web:80"
        with pytest.raises(NotRunning):
            web.endpoint("grpc")
        with pytest.raises(NotFound, match="web has no port 'admin', only http, grpc"):
            web.endpoint("admin")


def test_an_endpoint_that_this_process_does_not_reach(controller: FakeController) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x", ports={"http": 80})
        web.start()
        endpoints = [{"port": "http", "internal": "web:80", "problem": "is elsewhere; come here"}]
        controller.objects["env", "Workload", "web"] = ready_object("env", "web", endpoints=endpoints)
        with pytest.raises(Unavailable, match=r"^web: is elsewhere; come here$") as failed:
            web.endpoint("http")
        assert failed.value.reason == "NotReachable"


def test_a_directory_that_this_process_does_not_see(controller: FakeController) -> None:
    answer = environments.HoldResponse(shared_directory_problem="it is not mounted; mount it")
    controller.answers["Hold"] = lambda _request: iter([answer])
    with Environment("env") as env:
        web = env.workload("web", image="x")
        for look in (lambda: env.shared_dir, lambda: web.dir, lambda: web.write_file("x", "y")):
            with pytest.raises(Unavailable, match=r"^environment env: it is not mounted; mount it$"):
                look()


def test_update_applies_the_change_and_keeps_the_old_when_refused(controller: FakeController) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x:1")
        web.start()
        web.update(image="x:2", env={"A": "1"}, ports={"http": 80})
        assert web.manifest.spec.image == "x:2"
        assert web.internal_endpoint("http") == "web:80"

        def refuse(_: Any) -> Iterator[Any]:
            raise Conflict("web is defined by /manifests/web.yaml:1")

        controller.answers["Apply"] = refuse
        with pytest.raises(Conflict, match=r"/manifests/web.yaml:1"):
            web.update(image="x:3")
        assert web.manifest.spec.image == "x:2"


def test_files_are_written_below_the_workloads_directory(controller: FakeController, tmp_path: Path) -> None:
    with Environment("env") as env:
        web = env.workload("web", image="x")
        assert web.dir == tmp_path / "shared" / "web"
        assert web.dir.stat().st_mode & 0o777 == 0o777
        assert web.write_file("conf/a.yml", "text").read_text() == "text"
        assert web.write_file("b", b"\xff") == web.dir / "b"
        for path in ("../x", "/etc/x", ".", ""):
            with pytest.raises(InvalidArgument, match="is no path of a file below"):
                web.write_file(path, "")


def test_a_failed_wait_is_explained(controller: FakeController) -> None:
    def fail(request: Any) -> Iterator[Any]:
        found = ready_object(
            "env", "web", container={"state": "exited", "exitCode": 1, "lastLogLines": ["boom"]}
        )
        del found.status.conditions[:]
        yield waits.WaitConditionsResponse(object=found)
        raise WaitFailed("never will be", details=[waits.WaitFailure(failed=[found])])

    with Environment("env") as env:
        web = env.workload("web", image="x")
        controller.answers["WaitConditions"] = fail
        with pytest.raises(WaitFailed) as raised:
            web.start_and_wait_ready()
        del controller.answers["WaitConditions"]
    text = str(raised.value)
    assert text.startswith("web (environment env) is not ready: it can no longer be")
    assert "container: exited with code 1\n    last log lines:\n      boom" in text
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_an_exception_leaves_the_evidence_behind(controller: FakeController) -> None:
    def story() -> None:
        with Environment("env") as env:
            env.workload("web", image="x").start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        story()
    assert live.failures == [("env", "web  Ready")]
    live.failures.clear()
    assert controller.asked(environments.DeleteEnvironmentRequest)


def test_an_exception_is_not_hidden_by_a_failing_end(controller: FakeController) -> None:
    def fail(_: Any) -> Iterator[Any]:
        raise WaitFailed("the engine is gone")

    controller.answers["DeleteEnvironment"] = fail
    with pytest.raises(ZeroDivisionError) as raised, Environment("env"):
        _ = 1 / 0
    assert raised.value.__notes__ == ["and environment env was not deleted: the engine is gone"]
    live.failures.clear()


def test_an_exited_workload_gives_its_status(controller: FakeController) -> None:
    with Environment("env") as env:
        job = env.workload("job", image="x")
        job.start()
        container = {"state": "exited", "exitCode": 0, "lastLogLines": ["done"]}
        controller.objects["env", "Workload", "job"] = ready_object("env", "job", container=container)
        status = job.wait_exited()
        assert status.container is not None
        assert (status.container.exit_code, status.container.last_log_lines) == (0, ("done",))
        assert not status.is_running
        assert controller.asked(waits.WaitConditionsRequest)[-1].goal == waits.WAIT_GOAL_EXITED


def test_every_goal_has_a_message() -> None:
    assert len(Goal) == len(waits.WaitGoal.values()) - 1
