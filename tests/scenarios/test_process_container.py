"""This process in a cgroup of its own, on the machine's own cgroups. A child of the test does it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import e2e, ok

from e2e.cgroups.hierarchies import read_hierarchies
from e2e.cgroups.leftovers import find_leftovers
from tests.conftest import controllers, end, settle

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
    child = subprocess.Popen(["sleep", "600"])
    inside = cgroups()
    assert all(path.endswith(f"/e2e/{sys.argv[1]}") for path in container.paths.values())
    assert all(path in inside for path in container.paths.values()), inside
    assert cgroups(child.pid) == inside
    tasks = os.listdir("/proc/self/task")
    assert len(tasks) > 1
    assert all(cgroups(f"self/task/{task}") == inside for task in tasks)
assert cgroups() == before == cgroups(child.pid)
first, second = (current_process_as_container(f"{sys.argv[1]}-{number}") for number in range(2))
first.close()
second.close()
assert cgroups() == before, cgroups()
child.kill()
child.wait()
done.set()
print("well")
"""
STAYS = """
import subprocess, sys
from e2e.cgroups import current_process_as_container

container = current_process_as_container(sys.argv[1])
child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""
VERSION_2 = """
import os, subprocess, sys, tempfile, time
from pathlib import Path
from e2e.cgroups.files import Files
from e2e.cgroups.hierarchies import read_hierarchies
from e2e.cgroups.leftovers import find_leftovers
from e2e.cgroups.process import ProcessContainer, release

own = Path("/proc/self")
with tempfile.TemporaryDirectory() as folder:  # as a machine tells that has nothing but version 2
    lines = (own / "mountinfo").read_text().splitlines()
    Path(folder, "mountinfo").write_text("\\n".join(line for line in lines if " - cgroup " not in line))
    lines = (own / "cgroup").read_text().splitlines()
    Path(folder, "cgroup").write_text("\\n".join(line for line in lines if line.startswith("0::")))
    (unified,) = read_hierarchies(Path(folder))
before = (own / "cgroup").read_text()
with ProcessContainer.enter(sys.argv[1], [unified], Files()) as container:
    assert f"0::/e2e/{sys.argv[1]}" in (own / "cgroup").read_text()
    group = unified.mount / "e2e" / sys.argv[1]
    counted = lambda: int((group / "cpu.stat").read_text().split()[1]) / 1e6
    before_loop, until = counted(), time.process_time() + 0.2
    while time.process_time() < until:
        pass
    assert 0.15 < counted() - before_loop < 5
    outlives = subprocess.Popen(["sleep", "600"])
    release(outlives.pid)
    assert Path(f"/proc/{outlives.pid}/cgroup").read_text() == before
    outlives.kill()
    outlives.wait()
    left, deadline, found = group.parent / (group.name + "-left"), time.monotonic() + 60, []
    while not found:  # whoever enters a cgroup of its own meanwhile removes it, too
        assert time.monotonic() < deadline
        left.mkdir(exist_ok=True)
        found = [one for one in find_leftovers([unified]) if one.path == f"/e2e/{group.name}-left"]
    while left.exists():  # also where another process looks at it just now
        assert time.monotonic() < deadline
        found[0].remove()
    child = subprocess.Popen(["sleep", "600"])
    inner = group / "inner"
    inner.mkdir()
    (inner / "cgroup.procs").write_text(str(child.pid))
assert (own / "cgroup").read_text() == Path(f"/proc/{child.pid}/cgroup").read_text() == before
child.kill()
child.wait()
print("well")
"""
SPAWNS = """
import os, sys
from pathlib import Path
from e2e import embedded
from e2e.cgroups import current_process_as_container

before = Path("/proc/self/cgroup").read_text()
with current_process_as_container(sys.argv[1]):
    embedded.ensure()
    controller = embedded.Place.default().pid_file.read_text().strip()
    assert f"/e2e/{sys.argv[1]}" in Path("/proc/self/cgroup").read_text()
    for task in Path(f"/proc/{controller}/task").iterdir():
        try:
            assert (found := (task / "cgroup").read_text()) == before, found
        except (FileNotFoundError, ProcessLookupError):
            assert task.name != controller  # of the others, any may end meanwhile
print("well")
"""
USER = 54321
AS_USER = f"""
import os, sys
from pathlib import Path
from e2e.cgroups import NotPermitted, current_process_as_container

os.setgid({USER})
os.setuid({USER})
before = Path("/proc/self/cgroup").read_text()
try:
    container = current_process_as_container(sys.argv[1])
except NotPermitted as error:
    print(*error.commands, sep="\\n")
    sys.exit(3)
assert f"/e2e/{{sys.argv[1]}}" in Path("/proc/self/cgroup").read_text()
container.close()
assert Path("/proc/self/cgroup").read_text() == before
print("well")
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


def test_the_controller_that_it_starts_is_not_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path))
    try:
        told = subprocess.run([sys.executable, "-c", SPAWNS, name], capture_output=True, text=True)
    finally:
        for controller in controllers(tmp_path):
            end(controller)
    assert told.stdout == "well\n", told.stderr


@contextlib.contextmanager
def made_again(groups: list[Path]) -> Iterator[None]:
    """Others who enter a cgroup of their own, as tests do, remove them: each time for a moment."""
    over = threading.Event()

    def make() -> None:
        while not over.wait(0.002):
            for group in groups:
                with contextlib.suppress(FileNotFoundError, FileExistsError):
                    group.mkdir(parents=True, exist_ok=True)

    making = threading.Thread(target=make)
    making.start()
    try:
        yield
    finally:
        over.set()
        making.join()


def test_what_a_killed_one_leaves_is_listed_and_removed(name: str) -> None:
    path = f"/e2e/{name}"
    process = subprocess.Popen(
        [sys.executable, "-c", STAYS, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        groups = left(name)
        assert path not in [found.path for found in find_leftovers()]
        process.kill()
    assert path not in [found.path for found in find_leftovers()]  # its child is there
    os.kill(orphan, signal.SIGKILL)

    def is_listed() -> bool:
        listed = json.loads(ok("gc", "--dry-run", "-o", "json"))
        return "found" in [thing["result"] for thing in listed if thing["name"] == path]

    with made_again(groups):
        assert settle(is_listed)
        assert settle(lambda: f"cgroup {path} is left" in e2e("doctor")[1])
        assert settle(lambda: path in [found.path for found in find_leftovers()])

    def is_removed() -> bool:
        for found in find_leftovers():
            if found.path == path:
                found.remove()
        return not left(name)

    assert settle(is_removed)  # one at which another process looks just now is passed over


def test_it_comes_back_when_nobody_closes_it(name: str) -> None:
    forgotten = "import sys; from e2e.cgroups import current_process_as_container as it; it(sys.argv[1])"
    subprocess.run([sys.executable, "-c", forgotten, name], check=True)
    assert not left(name)


def test_many_come_and_go_at_once(name: str) -> None:
    script = (
        "import sys; from e2e.cgroups import current_process_as_container as it\n"
        "for _ in range(20): it(sys.argv[1]).close()"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, f"{name}-{number}"], stderr=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    told = [(process.communicate()[1], process.returncode) for process in running]
    assert told == [("", 0)] * 4


@pytest.mark.skipif("cgroup2" not in Path("/proc/self/mountinfo").read_text(), reason="no version 2")
def test_version_2_has_rules_of_its_own(name: str) -> None:
    told = subprocess.run([sys.executable, "-c", VERSION_2, name], capture_output=True, text=True)
    assert told.stdout == "well\n", told.stderr


READ_ONLY = """
for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if mountpoint -q "$tree"; then mount -o remount,bind,ro "$tree" || exit 77; fi
done
"$@" 2>told && exit 1
grep '^  mount ' told >commands && sh -e ./commands && "$@"
"""


def test_in_a_tree_that_is_read_only_the_error_has_the_commands(name: str, tmp_path: Path) -> None:
    """In a mount namespace of its own, as in a container."""
    script = [sys.executable, "-c", COMES_AND_GOES, name]
    command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *script]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "unshare failed" in told.stderr or told.returncode == 77:
        pytest.skip(told.stderr)
    assert told.stdout == "well\n", told.stderr


@pytest.fixture
def homes(name: str) -> Iterator[list[Path]]:
    """Cgroups for a user's process to come from, so that nobody else's are given to the user."""
    used = [hierarchy for hierarchy in read_hierarchies() if hierarchy.version == 1]
    if os.geteuid() != 0 or not used:
        pytest.skip("needs root, to be another user, and cgroups of version 1")
    homes = [hierarchy.mount / f"home-of-{name}" for hierarchy in used]
    try:
        for home in homes:
            home.mkdir()
        yield homes
    finally:
        for home in homes:
            home.rmdir()
            parent = home.parent / "e2e"
            with contextlib.suppress(FileNotFoundError):
                os.chown(parent, 0, 0)
            with contextlib.suppress(OSError):  # others are in it
                parent.rmdir()


@contextlib.contextmanager
def beside(name: str) -> Iterator[None]:
    """Another process in a cgroup of its own: nobody who leaves removes what holds them all."""
    command = [sys.executable, "-c", STAYS, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield
        finally:
            os.kill(child, signal.SIGKILL)
            process.communicate()
    assert not left(name)


def test_a_user_who_may_not_is_told_the_commands_that_allow_it(name: str, homes: list[Path]) -> None:
    def at_home() -> None:
        for home in homes:
            (home / "cgroup.procs").write_text(str(os.getpid()))

    def try_it() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", AS_USER, name]
        return subprocess.run(command, preexec_fn=at_home, capture_output=True, text=True)

    told = try_it()
    assert told.returncode == 3, told.stderr
    commands = [command.removeprefix("sudo ") for command in told.stdout.splitlines()]

    def is_allowed() -> bool:  # other processes, which leave meanwhile, may remove what a command is about
        return all(subprocess.run(command, shell=True).returncode == 0 for command in commands)

    assert settle(is_allowed)
    with beside(f"{name}-beside"):
        if any((home.parent / "e2e").stat().st_uid != USER for home in homes):
            assert settle(is_allowed)
        for _ in range(2):  # once is enough
            told = try_it()
            assert told.stdout == "well\n", told.stdout + told.stderr
