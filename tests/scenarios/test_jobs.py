"""Jobs, dependencies and files that change, on the real engine."""

import os
from pathlib import Path

import pytest
from controllers import Controller

import e2e
from e2e import Dependency, File, Goal, LogProbe, WaitFailed
from e2e_api.v1 import object_pb2

BUSYBOX = "docker.io/library/busybox:1.36"
FOR_EVER = "while :; do sleep 0.05; done"
RELOADING = "trap 'cat /app.conf' HUP; cat /app.conf; " + FOR_EVER


def object_key(environment: str, name: str) -> object_pb2.ObjectKey:
    return object_pb2.ObjectKey(environment=environment, kind="Workload", name=name)


def test_a_job_runs_to_its_end_once(e2e_environment: e2e.Environment) -> None:
    job = e2e_environment.job("migrate", image=BUSYBOX, command=["sh", "-c", "echo $((6 * 7))"])
    assert job.run() == "42\n"
    first = job.status().container
    assert job.run() == "42\n"
    assert job.status().container == first
    job.run_again()
    status = job.wait_completed()
    assert status.is_completed
    assert status.container is not None
    assert first is not None
    assert status.container.id != first.id


def test_a_job_is_tried_again_and_may_succeed_then(e2e_environment: e2e.Environment) -> None:
    tries = f"{e2e_environment.shared_dir}/tries"
    script = f"echo x >> {tries}; [ $(wc -l < {tries}) -ge 3 ]"
    job = e2e_environment.job("flaky", image=BUSYBOX, command=["sh", "-c", script], retries=5)
    job.run()
    assert Path(tries).read_text() == "x\n" * 3
    container = job.status().container
    assert container is not None
    assert container.restart_count == 2


def test_a_job_that_fails_says_why(e2e_environment: e2e.Environment) -> None:
    job = e2e_environment.job(
        "broken", image=BUSYBOX, command=["sh", "-c", "echo no table; exit 9"], retries=1
    )
    with pytest.raises(WaitFailed) as failed:
        job.run()
    assert failed.value.reason == "Exited"
    assert "exited with code 9" in str(failed.value)
    assert "0 of 1 retries left" in str(failed.value)
    assert "no table" in str(failed.value)


def test_what_depends_on_others_starts_after_them(e2e_environment: e2e.Environment) -> None:
    note = f"{e2e_environment.shared_dir}/order"
    live = f"trap 'exit 0' TERM; sleep 0.3; echo db >> {note}; echo up; {FOR_EVER}"
    db = e2e_environment.workload(
        "db", image=BUSYBOX, command=["sh", "-c", live], readiness=LogProbe(pattern="up")
    )
    job = e2e_environment.job(
        "migrate", image=BUSYBOX, command=["sh", "-c", f"echo migrate >> {note}"], depends_on=[db]
    )
    web = e2e_environment.workload(
        "web",
        image=BUSYBOX,
        command=[
            "sh",
            "-c",
            f"trap 'exit 0' TERM; echo web >> {note}; echo up; {FOR_EVER}",
        ],
        readiness=LogProbe(pattern="up"),
        depends_on=[job, Dependency(name="db", condition="Started")],
    )
    e2e_environment.start_and_wait_ready(web, job, db)
    assert Path(note).read_text().split() == ["db", "migrate", "web"]


def test_a_dependency_that_fails_ends_the_wait_at_once(e2e_environment: e2e.Environment) -> None:
    job = e2e_environment.job("migrate", image=BUSYBOX, command=["sh", "-c", "exit 3"])
    web = e2e_environment.workload("web", image=BUSYBOX, command=["sleep", "600"], depends_on=["migrate"])
    with pytest.raises(WaitFailed, match="exited with code 3"):
        e2e_environment.start_and_wait_ready(job, web, timeout=60)
    with pytest.raises(WaitFailed) as failed:
        web.wait_ready(timeout=60)
    assert failed.value.reason == "DependencyFailed"


@pytest.mark.parametrize("policy", ["None", "Signal(SIGHUP)", "Restart", "Recreate"])
def test_a_file_changes_as_its_manifest_says(e2e_environment: e2e.Environment, policy: str) -> None:
    def conf(content: str) -> list[File]:
        return [File(path="/app.conf", content=content, on_change=policy)]

    app = e2e_environment.workload(
        "app",
        image=BUSYBOX,
        command=["sh", "-c", RELOADING],
        files=conf("one\n"),
        grace_period=0.0,
        readiness=LogProbe(pattern="one|two"),  # by then it has its trap
    )
    app.start_and_wait_ready()
    before = app.status().container
    app.update(files=conf("two\n"))
    e2e_environment.wait_ready(app)
    assert app.exec(["cat", "/app.conf"]).stdout == b"two\n"
    after = app.status().container
    assert before is not None
    assert after is not None
    assert (after.id == before.id) == (policy != "Recreate")
    assert (after.started_at == before.started_at) == (policy in ("None", "Signal(SIGHUP)"))
    if policy == "Signal(SIGHUP)":
        assert [line for _, line in zip(range(2), app.follow_logs(), strict=False)] == ["one", "two"]


def test_a_stopped_workload_goes_on_in_its_container_under_another_controller(controller: Controller) -> None:
    def manifest(state: str) -> str:
        spec = f"image: {BUSYBOX}, command: [sleep, '600'], stop: {{gracePeriod: 0s}}, state: {state}"
        return f"apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: web}}\nspec: {{{spec}}}\n"

    name = f"again-{os.getpid()}"
    file = controller.folder / name / "web.yaml"
    file.parent.mkdir()
    file.write_text(manifest("Running"))
    with e2e.Environment.attach(name, controller=controller.address) as env:
        web = env.get("web", wait=60)
        web.wait_ready()
        first = web.status().container
    file.write_text(manifest("Stopped"))
    with e2e.Client.connect(controller.address) as client:
        client.wait([object_key(name, "web")], Goal.STOPPED, 100)
    controller.kill()
    file.write_text(manifest("Running"))
    controller.start()
    with e2e.Environment.attach(name, controller=controller.address) as env:
        web = env.get("web", wait=60)
        web.wait_ready()
        again = web.status().container
        assert first is not None
        assert again is not None
        assert again.id == first.id
        assert again.started_at != first.started_at
