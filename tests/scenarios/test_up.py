"""`e2e up` as people run it, on the real engine: in a terminal, in a pipe, to the end and killed."""

import codecs
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from commands import E2E, SECONDS, e2e, engine_has, ok
from small import BUSYBOX, until_stopped

WEB = f"""\
apiVersion: e2e/v1
kind: Workload
metadata: {{name: NAME}}
spec:
  image: {BUSYBOX}
  command: {json.dumps(until_stopped("httpd -p 80 -h /www"))}
  ports: {{http: 80}}
  files: [{{path: /www/index.html, content: TEXT}}]
  readiness: {{http: {{port: http, path: /index.html}}}}
"""
JOB = f"""\
apiVersion: e2e/v1
kind: Job
metadata: {{name: NAME}}
spec:
  image: {BUSYBOX}
  command: [sh, -c, "echo it says why; exit CODE"]
"""


def web(folder: Path, name: str, text: str = "one") -> None:
    (folder / f"{name}.yaml").write_text(WEB.replace("NAME", name).replace("TEXT", text))


def job(folder: Path, name: str, code: int) -> None:
    (folder / f"{name}.yaml").write_text(JOB.replace("NAME", name).replace("CODE", str(code)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "manifests"
    path.mkdir()
    web(path, "web")
    return path


class Up:
    """One that runs; `text` is what it has shown."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self._output = output
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a character may come in two parts
        self.text = ""

    def read(self, until: Callable[[str], object]) -> str:
        """What it shows until that holds of it; all that it shows, when it ends."""
        deadline = time.monotonic() + SECONDS
        while not until(self.text):
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._output], [], [], left)[0], self.text
            try:
                data = os.read(self._output, 65536)
            except OSError:  # a terminal whose programs have ended
                data = b""
            if not data:
                return self.text
            self.text += self._decoder.decode(data)
        return self.text

    def shows(self, pattern: str) -> re.Match[str]:
        found = re.search(pattern, self.read(lambda text: re.search(pattern, text)))
        assert found is not None, self.text
        return found

    def ends(self) -> int:
        self.read(lambda _text: False)
        return self.process.wait(SECONDS)


@contextmanager
def up(*arguments: str | Path) -> Iterator[Up]:
    """`e2e up` in a pipe."""
    command = [E2E, "up", *map(str, arguments)]
    variables = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=variables)
    assert process.stdout is not None
    try:
        yield Up(process, process.stdout.fileno())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_files_say_is_followed_until_the_interrupt(environment: str, folder: Path) -> None:
    with up(folder, "--env", environment) as run:
        address = run.shows(r"web: ready \(.*start .*\)  http=([\d.]+:\d+)\n")[1]
        assert httpx.get(f"http://{address}/", trust_env=False, timeout=SECONDS).text == "one"
        assert f"{environment} +web" not in run.text

        web(folder, "other")
        run.shows("other: ready")
        job(folder, "job", 3)
        run.shows(r"job: .*exited with code 3[^$]*last log lines:\n +it says why")
        job(folder, "job", 0)
        run.shows("job: completed")
        (folder / "other.yaml").write_text("kind: [")
        run.shows(r"other\.yaml:\d+:\d+: not YAML")
        (folder / "other.yaml").unlink()
        run.shows("other: gone")

        run.process.send_signal(signal.SIGINT)
        assert run.ends() == 0, run.text
    assert "Traceback" not in run.text
    assert engine_has(environment) == []
    assert "nothing" in ok("delete", "--env", environment, "--all")


def test_kept_it_is_there_for_the_next(environment: str, folder: Path) -> None:
    with up(folder, "--env", environment, "--keep") as run:
        run.shows("web: ready")
        run.process.terminate()
        assert run.ends() == 0, run.text

    def container() -> str:
        return str(
            json.loads(ok("get", "web", "--env", environment, "-o", "json"))["status"]["container"]["id"]
        )

    kept = container()
    with up(folder, "--env", environment) as run:
        run.shows("web: ready")
        assert container() == kept
        run.process.terminate()
        assert run.ends() == 0, run.text
    assert engine_has(environment) == []


def test_killed_it_leaves_nothing(environment: str, folder: Path) -> None:
    with up(folder, "--env", environment) as run:
        run.shows("web: ready")
        run.process.kill()
        run.process.wait()
    deadline = time.monotonic() + SECONDS
    while engine_has(environment):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_others_made_there_stays(environment: str, folder: Path, tmp_path: Path) -> None:
    web(tmp_path, "others")
    ok("apply", "-f", tmp_path / "others.yaml", "--env", environment, "--wait")
    with up(folder, "--env", environment) as run:
        run.shows("web: ready")
        run.process.terminate()
        assert run.ends() == 0, run.text
    assert engine_has(environment) == [f"{environment}.others", f"e2e-{environment}"]


@pytest.mark.parametrize("code", [0, 3])
def test_wait_tells_by_its_exit_code(environment: str, folder: Path, code: int) -> None:
    job(folder, "job", code)
    ended, out, err = e2e("up", folder, "--env", environment, "--wait")
    assert ended == bool(code), out + err
    expected = ["exited with code 3", "it says why"] if code else ["web: ready", "job: completed"]
    assert [text for text in expected if text not in err] == []
    assert engine_has(environment) == []


IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
fcntl.ioctl(0, termios.TIOCSWINSZ, __import__("struct").pack("HHHH", 40, 120, 0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_in_a_terminal_it_is_a_table_and_ctrl_c_ends_it(environment: str, folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", IN_TERMINAL, E2E, "up", str(folder), "--env", environment]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(theirs)
    run = Up(process, ours)
    try:
        run.shows(r"✓\S*  web  .* ready .*http=[\d.]+:\d+.*\r\n.*Ctrl\+C deletes everything")
        os.write(ours, b"\x03")
        assert run.ends() == 0, run.text
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(ours)
    assert "Traceback" not in run.text
    assert engine_has(environment) == []
