"""The `e2e` command as people and scripts run it, on the real engine."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from apis import until
from commands import E2E, SECONDS, e2e, engine_has, ok
from controllers import Controller
from small import BUSYBOX, until_stopped

pytestmark = pytest.mark.timeout(1200)
WEB = f"""\
# a comment
apiVersion: e2e/v1
kind: Workload
metadata: {{name: web, labels: {{app: shop}}}}
spec:
  image: {BUSYBOX}
  command: {json.dumps(until_stopped("httpd -p 80 -h /www", "echo serving", "echo to stderr >&2"))}
  ports: {{http: 80}}
  volumes: [{{source: ./www, target: /www, readOnly: true}}]
  readiness: {{http: {{port: http, path: /index.html}}}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a manifest that mounts what stands beside it."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("hello\n")
    (tmp_path / "web.yaml").write_text(WEB)
    return tmp_path


def test_from_apply_to_delete(environment: str, shop: Path) -> None:
    key = f"{environment}/Workload/web"
    plan = ok("apply", "-f", shop, "--env", environment, "--dry-run")
    assert plan.startswith(f"{key} created (dry run)\n")
    assert f"create {BUSYBOX}" in plan
    assert engine_has(environment) == []

    code, out, err = e2e("apply", "-f", shop, "--env", environment, "--wait")
    assert (code, out) == (0, f"{key} created\n")
    assert re.search(r"web: ready \((.*, )?create .*start .*probe ", err)
    assert ok("apply", "-f", shop, "--env", environment) == f"{key} unchanged\n"

    table = ok("get", "--env", environment)
    assert re.search(
        rf"^{environment} +web +Workload +Ready +yes +0 .*{BUSYBOX} +http=[\d.]+:\d+$", table, re.M
    )
    found: dict[str, Any] = json.loads(ok("get", "web", "--env", environment, "-o", "json"))
    assert found["manifest"]["spec"]["volumes"][0]["source"] == str(shop / "www")
    assert found["status"]["container"]["state"] == "running"

    logged = (0, "serving\n", "to stderr\n")
    until(lambda: e2e("logs", "web", "--env", environment), lambda found: found == logged)
    parts = ("Status: Ready", "Labels: app=shop", "200 OK (succeeded)", "PHASE STARTED", "serving")
    described = until(
        lambda: " ".join(ok("describe", "web", "--env", environment).split()),
        lambda found: all(part in found for part in parts),
    )
    assert re.search(r"Normal Start \d", described)
    assert ok("exec", "web", "--env", environment, "--", "cat", "/www/index.html") == "hello\n"
    assert ok("events", "--env", environment).count("start") >= 1

    (shop / "web.yaml").write_text(WEB.replace("ports:", "state: Stopped\n  ports:"))
    assert ok("apply", "-f", shop, "--env", environment) == f"{key} changed\n"
    ok("wait", "web", "--env", environment, "--for", "stopped")
    code, _, err = e2e("wait", "web", "--env", environment, "--for", "ready")
    assert code == 1
    assert "web" in err

    code, out, err = e2e("delete", "-f", shop, "--env", environment)
    assert (code, out) == (0, f"{key} deleting\n")
    assert err.endswith("1 object is deleted\n")
    ok("wait", "--env", environment, "--for", "deleted")
    assert engine_has(environment) == []


def test_exec_is_as_if_it_were_here(environment: str, shop: Path) -> None:
    ok("apply", "-f", shop / "web.yaml", "--env", environment, "--wait")
    web = ("exec", "web", "--env", environment)
    assert e2e(*web, "--", "sh", "-c", "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")
    big = "x" * 300_000 + "\n"
    assert ok(*web, "--", "cat", stdin=big) == big
    assert ok(*web, "--", "wc", "-c", stdin="") == "0\n"
    assert ok(*web, "--no-stdin", "--", "wc", "-c", stdin="12345") == "0\n"
    assert (
        ok(*web, "-e", "NAME=value", "--workdir", "/tmp", "--", "sh", "-c", "echo $NAME $PWD")
        == "value /tmp\n"
    )
    code, _, err = e2e(*web, "--", "no-such-program")
    assert code == 127
    assert "no-such-program" in err
    # The command may end before its input does.
    with subprocess.Popen([E2E, *web, "--", "true"], stdin=subprocess.PIPE) as process:
        assert process.wait(SECONDS) == 0


def test_logs_can_be_followed_until_an_interrupt(environment: str, shop: Path) -> None:
    counting = until_stopped("i=0", "while sleep 0.1; do i=$((i+1)); echo line $i; done")
    (shop / "web.yaml").write_text(
        f"apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: web}}\n"
        f"spec: {{image: {BUSYBOX}, command: {json.dumps(counting)}, stop: {{gracePeriod: 0s}}}}\n"
    )
    ok("apply", "-f", shop, "--env", environment, "--wait")
    command = [E2E, "logs", "web", "--env", environment, "-f", "--tail", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, second = (process.stdout.readline() for _ in range(2))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    numbers = [int(line.split()[1]) for line in (first, second)]
    assert numbers[1] == numbers[0] + 1
    assert (process.returncode, err.strip()) == (130, "")


def test_a_workload_that_ends_fails_the_wait_with_its_last_words(environment: str, tmp_path: Path) -> None:
    command = json.dumps(["sh", "-c", "echo bad flag; exit 3"])
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: ends}\n"
        f"spec: {{image: {BUSYBOX}, command: {command}, ports: {{p: 1}}, readiness: {{tcp: {{port: p}}}}}}\n"
    )
    code, _, err = e2e("apply", "-f", manifest, "--env", environment, "--wait")
    assert code == 1
    assert re.search(r"^error: ends \(environment .*\) is not as its manifest asks", err, re.M)
    assert "exited with code 3" in err
    assert "bad flag" in err
    table = ok("get", "--env", environment)
    assert re.search(r"^\S+/Workload/ends: Exited: exited with code 3", table, re.M)


def test_an_image_that_does_not_exist(environment: str, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: none}\nspec: {image: 'e2e.invalid/none:1'}\n"
    )
    code, _, err = e2e("apply", "-f", manifest, "--env", environment, "--wait", "--timeout", "200s")
    assert code == 1
    assert "it can no longer be, known after" in err
    assert "pull of e2e.invalid/none:1 failed" in err
    code, out, _ = e2e("doctor", "-f", manifest)
    assert code == 1
    assert "✗ image e2e.invalid/none:1: not there" in out


def test_a_wrong_manifest_is_told_with_its_place(environment: str, shop: Path) -> None:
    (shop / "web.yaml").write_text(WEB.replace("readiness:", "rediness:"))
    code, out, err = e2e("apply", "-f", shop, "--env", environment)
    assert (code, out) == (1, "")
    assert f"{shop}/web.yaml:10:3: spec.rediness: unknown field; did you mean readiness?" in err
    code, _, err = e2e("apply", "-f", "-", stdin="a: [")
    assert code == 1
    assert re.match(r"error: standard input:\d+:\d+: not YAML", err), err


def test_what_does_not_exist_is_an_error_at_once(environment: str) -> None:
    for verb in (["wait"], ["logs"], ["describe"], ["delete"], ["get"]):
        code, _, err = e2e(*verb, "nobody", "--env", environment)
        assert code == 1
        assert re.match(r"error: .*nobody", err), err


def test_a_wait_can_be_interrupted(environment: str, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: never}\nspec:\n"
        f"  image: {BUSYBOX}\n  command: {json.dumps(until_stopped())}\n"
        "  ports: {p: 1}\n  readiness: {tcp: {port: p}}\n"
    )
    ok("apply", "-f", manifest, "--env", environment)
    command = [E2E, "wait", "never", "--env", environment]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "never: " in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in err
    deadline = time.monotonic() + SECONDS
    while "ProbeFailed" not in ok("describe", "never", "--env", environment):
        assert time.monotonic() < deadline, "never probed"

    def waited() -> str:
        code, _, err = e2e("wait", "never", "--env", environment, "--timeout", "2s")
        assert code == 1
        assert re.search(r"never \(environment .*\) is not ready: waited [\d.]+ s", err), err
        return err

    # Where the controller stands still until the wait is over, there is nothing to tell.
    until(waited, lambda err: "never: ProbeFailed: connect to " in err)


def test_a_reader_that_leaves_is_no_fault(environment: str, shop: Path) -> None:
    ok("apply", "-f", shop, "--env", environment)
    done = subprocess.run(["sh", "-c", f"{E2E} get | true"], capture_output=True, text=True, timeout=SECONDS)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_what_a_file_defines_is_not_deleted(controller: Controller, shop: Path) -> None:
    name = f"cli-files-{os.getpid()}"
    folder = controller.folder / name
    folder.mkdir()
    (folder / "web.yaml").write_text(WEB.replace("./www", str(shop / "www")))
    ok("--controller", controller.address, "wait", "--for", "deleted", "nobody", "--env", name)
    ok("--controller", controller.address, "wait", "web", "--env", name)
    code, _, err = e2e("--controller", controller.address, "delete", "web")
    assert code == 1
    assert f"{folder}/web.yaml" in err
    code, _, err = e2e("delete", "--env", name, "--all", E2E_CONTROLLER=controller.address)
    assert code == 1
    assert f"{name}/Workload/web: {folder}/web.yaml:2" in err
    (folder / "web.yaml").unlink()
    ok("--controller", controller.address, "wait", "web", "--for", "deleted", "--env", name)


def test_a_controller_in_the_foreground(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/c.sock"
    command = [E2E, "controller", "--state-dir", str(tmp_path / "state"), "--listen", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("serving gRPC" in line for line in process.stderr)
        assert e2e("--controller", address, "get")[2] == "nothing is there\n"
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert "--folder" in ok("controller", "--help")


def test_without_an_engine(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": "unix:///nonexistent", "E2E_STATE_DIR": str(tmp_path)}
    code, out, err = e2e("get", **nowhere)
    assert (code, out) == (1, "")
    assert "start the Docker engine" in err
    assert len(err.splitlines()) <= 2
    code, out, _ = e2e("doctor", **nowhere)
    assert code == 1
    assert "✗ engine: " in out
    assert "start the Docker engine" in out


def test_doctor_finds_nothing_wrong_here(shop: Path) -> None:
    code, out, _ = e2e("doctor", "-f", shop)
    assert code == 0, out
    assert "✓ engine: " in out
    assert "✓ cAdvisor: sees CPU, memory" in out
    assert f"✓ image {BUSYBOX}: present" in out
    assert "✓ controller: " in out
