"""This process in a cgroup of its own, on the machine's own cgroups. A child of the test does it."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cgroups import CgroupError, current_process_as_container

COMES_AND_GOES = """
import os, subprocess, sys, threading
from pathlib import Path
from e2e.cgroups import current_process_as_container

def cgroups(who="self"):
    return Path("/proc", str(who), "cgroup").read_text()

before = cgroups()
done = threading.Event()
threading.Thread(target=done.wait, daemon=True).start()
with current_process_as_container(sys.argv[1]) as container:
    child = subprocess.Popen(["sleep", "60"])
    inside = cgroups()
    assert all(path.endswith(f"/e2e/{sys.argv[1]}") for path in container.paths.values())
    assert all(path in inside for path in container.paths.values()), inside
    assert cgroups(child.pid) == inside
    tasks = os.listdir("/proc/self/task")
    assert len(tasks) > 1
    assert all(cgroups(f"self/task/{task}") == inside for task in tasks)
assert cgroups() == before == cgroups(child.pid)
child.kill()
child.wait()
done.set()
print("well")
"""
STAYS = """
import subprocess, sys
from e2e.cgroups import current_process_as_container

container = current_process_as_container(sys.argv[1])
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    script = f"from e2e.cgroups import current_process_as_container as it; it({name!r}).close()"
    tried = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if "NotPermitted" in tried.stderr:
        pytest.skip(tried.stderr.partition("NotPermitted: ")[2])
    assert tried.returncode == 0, tried.stderr
    yield name
    assert not left(name)


def left(name: str) -> list[Path]:
    return [*Path("/sys/fs/cgroup").glob(f"e2e/{name}"), *Path("/sys/fs/cgroup").glob(f"*/e2e/{name}")]


def test_it_goes_with_threads_and_children_and_comes_back(name: str) -> None:
    told = subprocess.run([sys.executable, "-c", COMES_AND_GOES, name], capture_output=True, text=True)
    assert told.stdout == "well\n", told.stderr


def test_a_live_one_keeps_its_name_and_a_killed_one_is_followed(name: str) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", STAYS, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdin is not None
    assert first.stdout is not None
    orphan = int(first.stdout.readline())
    try:
        second = subprocess.run([sys.executable, "-c", COMES_AND_GOES, name], capture_output=True, text=True)
        assert "is that of another process" in second.stderr
        assert str(first.pid) in second.stderr
        first.kill()
        first.wait()
        assert f"/e2e/{name}" in Path(f"/proc/{orphan}/cgroup").read_text()
        third = subprocess.run([sys.executable, "-c", COMES_AND_GOES, name], capture_output=True, text=True)
        assert third.stdout == "well\n", third.stderr
        assert f"/e2e/{name}" not in Path(f"/proc/{orphan}/cgroup").read_text()
    finally:
        first.kill()
        first.wait()
        first.stdin.close()
        first.stdout.close()
        os.kill(orphan, signal.SIGKILL)


def test_it_comes_back_when_nobody_closes_it(name: str) -> None:
    forgotten = "import sys; from e2e.cgroups import current_process_as_container as it; it(sys.argv[1])"
    subprocess.run([sys.executable, "-c", forgotten, name], check=True)
    assert not left(name)


def test_a_user_who_may_not_is_told_the_commands() -> None:
    if os.geteuid() != 0:
        with pytest.raises(CgroupError):
            current_process_as_container("test-not-permitted").close()
        return
    script = (
        "import os; from e2e.cgroups import *\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n    current_process_as_container('test-not-permitted')\n"
        "except NotPermitted as error:\n    print(*error.commands, sep='\\n')"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    lines = told.stdout.splitlines()
    assert lines, told.stderr
    assert lines[0].startswith(("sudo mkdir -p /sys/fs/cgroup/", "sudo sh -c", "sudo mount"))
