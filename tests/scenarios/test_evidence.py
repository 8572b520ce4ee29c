"""Evidence on the real engine: what is kept of containers, bundles, dry runs, traces."""

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from apis import until
from small import BUSYBOX, until_stopped, web_server

import e2e
from e2e import HttpProbe, LogProbe, WaitFailed, WaitTimeout
from e2e.messages import container_key, environment_key

COMMAND = str(Path(sys.executable).with_name("e2e"))
SECRET = "correct horse battery"


def cli(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=90)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        found = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name.partition("/")[2]: file.read() for name, file in found.items() if file is not None}


def failure(environment: e2e.Environment, *command: str, **options: object) -> WaitFailed:
    workload = environment.workload("bad", image=BUSYBOX, command=list(command), **options)  # type: ignore[arg-type]
    workload.start()
    with pytest.raises(WaitFailed) as failed:
        workload.wait_ready(timeout=60)
    return failed.value


def test_a_bundle_of_an_environment_with_all_kinds_of_trouble(
    e2e_environment: e2e.Environment, tmp_path: Path
) -> None:
    web = web_server(e2e_environment, "web")
    web.update(
        env={"APP_SECRET": SECRET}, command=until_stopped("httpd -p 80 -h /www", 'echo "with $APP_SECRET"')
    )
    web.start_and_wait_ready()
    failure(e2e_environment, "sh", "-c", "echo cannot go on; exit 7", readiness=LogProbe(pattern="never"))
    until(web.logs, lambda log: "with" in log)
    found = contents(e2e_environment.bundle(tmp_path / "a.tar.gz"))
    index = found["index.txt"].decode()
    for name in (
        "manifests/Workload.web.yaml",
        "status/Workload.bad.json",
        "inspect/web.json",
        "logs/web.log",
    ):
        assert name in found, index
        assert name in index
    assert b"cannot go on" in found["logs/bad.log"]
    assert found["logs/web.log"].rstrip().endswith(b"with ********")
    assert json.loads(found["status/Workload.bad.json"])["status"]["container"]["exitCode"] == 7
    assert json.loads(found["inspect/web.json"])["HostConfig"]["PortBindings"]
    assert "metrics/web.txt" in index
    assert json.loads(found["controller/about.json"])["engine"]["version"]
    assert b"controller/log.txt" in found["index.txt"] or "controller/log.txt" in found
    for name, data in found.items():
        assert SECRET.encode() not in data, name


def test_the_end_and_the_log_of_a_replaced_container_are_kept(e2e_environment: e2e.Environment) -> None:
    workload = e2e_environment.workload(
        "web",
        image=BUSYBOX,
        command=["sh", "-c", "echo first run; exit 3"],
        readiness=LogProbe(pattern="never"),
    )
    workload.start()
    with pytest.raises(WaitFailed):
        workload.wait_ready()
    first = workload.status().container
    workload.update(command=until_stopped("echo second run"), readiness=LogProbe(pattern="second run"))
    workload.wait_ready()
    status = workload.status()
    assert status.previous_container is not None
    assert first is not None
    assert status.previous_container.id == first.id
    assert status.previous_container.exit_code == 3
    assert status.previous_container.last_log_lines == ("first run",)


def test_the_log_of_a_container_that_ran_is_kept_when_it_is_replaced(
    e2e_environment: e2e.Environment,
) -> None:
    workload = e2e_environment.workload("web", image=BUSYBOX, command=until_stopped("echo I ran"))
    workload.start_and_wait_ready()
    until(workload.logs, lambda log: "I ran" in log)
    workload.update(env={"A": "2"})
    workload.wait_ready()
    previous = workload.status().previous_container
    assert previous is not None
    assert previous.last_log_lines == ("I ran",)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sh -c 'kill -SEGV $$'", "(SIGSEGV)"),
        ("exit 126", "cannot be executed"),
        ("no-such-program", "was not found: correct entrypoint, command or image"),
    ],
)
def test_common_exit_codes_are_explained(e2e_environment: e2e.Environment, script: str, says: str) -> None:
    error = failure(e2e_environment, "sh", "-c", f"{script}; exit $?", readiness=LogProbe(pattern="never"))
    assert says in str(error)
    assert error.action == "see-evidence"
    assert error.failed[0].key.name == "bad"


def test_a_probe_that_never_succeeds_shows_what_was_asked_and_answered(
    e2e_environment: e2e.Environment,
) -> None:
    probe = e2e.Readiness(http=HttpProbe(port="http", path="/nothing"), timeout=12.0, startup_timeout=15.0)
    server = until_stopped("httpd -p 80 -h /etc")
    error = failure(e2e_environment, *server, ports={"http": 80}, readiness=probe)
    assert error.reason == "ProbeTimeout"
    assert "/nothing: 404 Not Found" in str(error)
    assert "raise readiness.startupTimeout" in str(error)
    assert error.failed[0].status.last_probe.answer.startswith("404")


def test_a_timeout_carries_its_evidence_as_data(e2e_environment: e2e.Environment) -> None:
    workload = e2e_environment.workload(
        "slow", image=BUSYBOX, command=until_stopped(), readiness=LogProbe(pattern="never")
    )
    workload.start()
    workload.wait_running()

    def late() -> WaitTimeout:
        with pytest.raises(WaitTimeout) as failed:
            workload.wait_ready(timeout=2)
        return failed.value

    # Where the controller stands still until the wait is over, it has no evidence.
    error = until(late, lambda error: error.failed)
    assert error.action == "retry"
    assert error.failed[0].status.container.state == "running"


def test_diff_says_what_is_then_done(environment: str, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    text = f"apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: web, environment: {environment}}}\nspec:\n"
    file.write_text(text + f"  image: {BUSYBOX}\n  command: {json.dumps(until_stopped())}\n")
    try:
        code, out = cli("diff", "-f", str(file))
        assert code == 1
        assert f"{environment}/Workload/web created" in out
        assert cli("apply", "-f", str(file), "--wait")[0] == 0
        assert cli("diff", "-f", str(file)) == (0, "")
        file.write_text(file.read_text() + "  env: {A: b}\n")
        code, out = cli("diff", "-f", str(file))
        assert code == 1
        assert "spec.env.A: (none) -> b" in out
        planned = out.partition("plan:\n")[2].split("\n")
        assert cli("apply", "-f", str(file), "--wait")[0] == 0
        told = cli("events", "--env", environment, "web", "-o", "json")[1]
        messages = [event.get("message", "") for event in json.loads(told)]
        steps = [line.strip() for line in planned if line.strip()]
        assert messages[-len(steps) :] == steps
        file.write_text("kind: [")
        assert cli("diff", "-f", str(file))[0] == 2
    finally:
        assert cli("delete", "--env", environment, "--all")[0] == 0


def test_the_trace_of_a_start(e2e_environment: e2e.Environment) -> None:
    web_server(e2e_environment, "web").start_and_wait_ready()
    name = e2e_environment.name
    code, out = cli("trace", name)
    assert code == 0
    for word in ("*start", "*probe", "create", "copy", "Critical path"):
        assert word in out, out
    document = json.loads(cli("trace", name, "-o", "json")[1])
    ends = [span["end"] for span in document["spans"]]
    assert document["criticalPath"][-1]["end"] == max(ends)
    phases = [span["name"] for span in document["spans"] if span["object"] == "web"]
    assert {"queue", "create", "copy", "start", "probe"} <= set(phases)
    assert json.loads(cli("trace", name, "-o", "chrome")[1])["traceEvents"]
    assert "Phases:" in cli("describe", "web", "--env", name)[1]


def test_a_failed_environment_is_kept_for_its_time(tmp_path: Path) -> None:
    name = f"kept-{os.getpid()}"

    def fails() -> None:
        with e2e.Environment(name, keep_on_failure=True, ttl=40.0) as env:
            env.workload("web", image=BUSYBOX, command=until_stopped()).start_and_wait_ready()
            raise ValueError("the test's own fault")

    with pytest.raises(ValueError) as failed:
        fails()
    assert f"environment {name} is kept" in failed.value.__notes__[-1]
    with e2e.Client.connect() as client:
        key = environment_key(name)
        assert client.get(container_key(name, "web")).status.container.state == "running"
        deadline = time.monotonic() + 60
        while "Ends:" not in (told := cli("describe", f"environment/{name}")[1]):
            assert time.monotonic() < deadline, told
        assert "its client asked to keep it" in told
        with contextlib.suppress(e2e.NotFound):
            client.wait([key], e2e.Goal.DELETED, 150)
