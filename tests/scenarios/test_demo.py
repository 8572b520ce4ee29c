"""`make demo` as a user runs it: to its end, interrupted, and where the machine or a manifest is wrong."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.engine import docker_client

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo.py"
SECONDS = 150.0


AT_A_MOMENT = """
import io, os, re, runpy, sys, threading, time
moment, reaction, program = sys.argv[1:]
class Output(io.TextIOWrapper):
    has_come = False
    def write(self, text):
        written = super().write(text)
        if not self.has_come and re.search(moment, text):
            self.flush()
            self.has_come = True
            exec(reaction)
        return written
sys.stdout = Output(sys.stdout.detach(), encoding="utf-8", write_through=True)
sys.path[0], sys.argv = os.path.dirname(program), [program]
runpy.run_path(program, run_name="__main__")
"""
"""Runs a program that reacts when it writes something: from outside that could be late, on a busy machine."""
SIGNAL = """
threading.Timer(0.05, os.kill, (os.getpid(), {0})).start()  # an impatient user; the clean-up is not cut short
os.kill(os.getpid(), {0})
"""
WAIT = """
while not os.path.exists({0!r}):
    time.sleep(0.05)
"""


@contextmanager
def running_demo(
    program: Path = DEMO, at: tuple[str, str] | None = None, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """The demo with its output in a pipe, as a group of its own, so that a signal is for it alone.

    `at`: a pattern of what it writes, and what it does then.
    """
    process = subprocess.Popen(
        [sys.executable, *(["-c", AT_A_MOMENT, *at] if at else []), str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=SECONDS)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """The output up to the first line that matches."""
    assert process.stdout is not None
    seen = ""
    deadline = time.monotonic() + SECONDS
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
        assert time.monotonic() < deadline, seen
    pytest.fail(f"{pattern!r} never came:\n{seen}")


def assert_nothing_left(output: str) -> None:
    found = re.search(r"environment (\S+), folders in (\S+)", output)
    assert found is not None, output
    environment, folder = found.groups()
    assert "could not be removed" not in output
    assert not Path(folder).exists()
    with docker_client() as client:
        names = [str(container.name) for container in client.containers.list(all=True, ignore_removed=True)]
        names += [str(network.name) for network in client.networks.list()]
        names += [str(volume.name) for volume in client.volumes.list()]
    assert [name for name in names if environment in name] == []
    assert not processes_with(folder)


def processes_with(text: str) -> list[int]:
    """The processes that have this in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def test_two_at_once_tell_the_story() -> None:
    with running_demo() as first, running_demo() as second:
        for process in (first, second):
            code, output = finish(process)
            assert code == 0, output
            for step in ("1. drop 5 manifests", "2. wait", "3. wait", "4. query", "5. set", "6. remove"):
                assert len(re.findall(rf"^{re.escape(step)}.*$", output, re.M)) == 2, (
                    output
                )  # and in the table
            assert re.search(r"query-1: ready \(.*create .*start .*probe ", output)
            assert output.count('prometheus="prometheus-1"} 1') == 1
            assert output.count('prometheus="prometheus-2"} 1') == 2
            assert "containers: 5 before, 0 now" in output
            assert "networks: 1 before, 0 now" in output
            assert "folders: 1 before, 0 now" in output
            assert re.search(r"all steps +[0-9.]+$", output, re.M)
            assert_nothing_left(output)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("folders in", signal.SIGINT),
        ("starting", signal.SIGINT),
        (r"ready \(", signal.SIGHUP),
        ("5. set", signal.SIGTERM),
        ("6. remove", signal.SIGINT),
    ],
)
def test_a_signal_cleans_up(moment: str, number: signal.Signals) -> None:
    with running_demo(at=(moment, SIGNAL.format(int(number)))) as process:
        code, output = finish(process)
    assert code == 128 + number, output
    assert "Traceback" not in output
    assert_nothing_left(output)


def test_a_controller_that_is_killed_leaves_nothing_either(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    with running_demo(at=("2. wait", WAIT.format(str(killed)))) as process:
        seen = read_until(process, "2. wait")
        folder = re.search(r"folders in (\S+)", seen)
        assert folder is not None
        (controller,) = processes_with(folder[1])
        os.kill(controller, signal.SIGKILL)
        killed.touch()
        code, output = finish(process)
    assert code == 1, output
    assert re.search(r"^failed: \d\. ", output, re.M), output
    assert "Traceback" not in output
    assert_nothing_left(seen + output)


def test_without_an_engine_it_says_so() -> None:
    with running_demo(DOCKER_HOST="unix:///nonexistent") as process:
        code, output = finish(process)
    assert code == 1
    assert "failed: start a controller" in output
    assert "no socket at /nonexistent" in output
    assert "Traceback" not in output
    assert_nothing_left(output)


@pytest.mark.parametrize(
    ("old", "new", "evidence"),
    [
        ("image: quay.io/thanos/thanos:v0.38.0", "image: e2e.invalid/none:1", "ImagePullFailed"),
        ("- query\n", "- query\n    - --no-such-flag\n", "unknown long flag '--no-such-flag'"),
        ("ports:", "prots:", r"query-1.yaml:\d+:\d+: spec.prots: unknown field; did you mean ports"),
    ],
)
def test_a_failing_step_is_told_with_evidence(tmp_path: Path, old: str, new: str, evidence: str) -> None:
    examples = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", examples)
    manifest = examples / "manifests" / "thanos" / "query-1.yaml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))
    with running_demo(examples / "demo.py") as process:
        code, output = finish(process)
    assert code == 1, output
    assert "failed: 1. drop 5 manifests" in output
    assert re.search(evidence, output), output
    assert "Traceback" not in output
    assert_nothing_left(output)
