import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

import e2e
from e2e.cgroups import CgroupError, NotPermitted, ProcessContainer
from e2e.cgroups.files import Files
from e2e.cgroups.hierarchies import read_hierarchies
from e2e.cgroups.leftovers import find_leftovers
from e2e.cgroups.process import release
from tests.unit.cgroups.fake_kernel import OWN, FakeKernel

SCOPE = "/user.slice/user-1000.slice/session-3.scope"
TERMINAL = "/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope"
ALL = "cpu,io,memory,pids"
CHILD, ORPHAN, STRANGER = 1000001, 1000002, 1000003


@pytest.fixture
def kernel(tmp_path: Path) -> FakeKernel:
    return FakeKernel(tmp_path)


def version_1(kernel: FakeKernel, **where: str) -> None:
    for words in ("cpu,cpuacct", "memory", "blkio", "pids", "freezer"):
        kernel.mount(words, words, **where)


def enter(kernel: FakeKernel, name: str = "bench") -> ProcessContainer:
    return ProcessContainer.enter(name, read_hierarchies(kernel.proc), kernel)


def groups(kernel: FakeKernel, name: str) -> list[str]:
    return sorted(str(path.relative_to(kernel.folder)) for path in kernel.folder.rglob(name) if path.is_dir())


def own(point: Path, path: str) -> set[Path]:
    """A cgroup and all below it, as a user has it."""
    top = point / path.strip("/")
    return {top, *top.rglob("*")}


def test_version_1_each_hierarchy_that_counts(kernel: FakeKernel) -> None:
    version_1(kernel, home="/user.slice")
    before = kernel.where()
    with enter(kernel) as container:
        assert kernel.where() == [
            "blkio/e2e/bench",
            "cpu,cpuacct/e2e/bench",
            "freezer/user.slice",
            "memory/e2e/bench",
            "pids/e2e/bench",
        ]
        assert container.paths == dict.fromkeys(["blkio", "cpu", "cpuacct", "memory", "pids"], "/e2e/bench")
        assert container.not_counted == frozenset()
    assert kernel.where() == before
    assert groups(kernel, "e2e") == []


def test_version_2_controllers_are_handed_on(kernel: FakeKernel) -> None:
    root = kernel.mount("unified", "cpuset,cpu,io,memory,pids", home=TERMINAL, version=2)
    (root / "cgroup.subtree_control").write_text("pids")
    with enter(kernel) as container:
        assert kernel.where() == ["unified/e2e/bench"]
        assert (root / "e2e/bench/cgroup.controllers").read_text() == "cpu io memory pids"
        assert container.paths == dict.fromkeys(["cpu", "io", "memory", "pids"], "/e2e/bench")
    assert kernel.where() == [f"unified{TERMINAL}"]
    assert groups(kernel, "e2e") == []


def test_hybrid_uses_the_version_that_counts(kernel: FakeKernel) -> None:
    version_1(kernel)
    kernel.mount("unified", "", version=2)
    with enter(kernel):
        assert "unified" in kernel.where()
        assert groups(kernel, "bench") == [
            f"{words}/e2e/bench" for words in ("blkio", "cpu,cpuacct", "memory", "pids")
        ]


def test_hybrid_with_a_controller_that_only_version_2_has(kernel: FakeKernel) -> None:
    kernel.mount("cpu", "cpu")
    kernel.mount("unified", "memory", home=SCOPE, version=2)
    with enter(kernel) as container:
        assert kernel.where() == ["cpu/e2e/bench", "unified/e2e/bench"]
        assert container.paths == {"cpu": "/e2e/bench", "memory": "/e2e/bench"}
        assert container.not_counted == {"io", "pids"}
    assert kernel.where() == ["cpu", f"unified{SCOPE}"]


def test_a_container_without_a_cgroup_namespace_is_below_its_own(kernel: FakeKernel) -> None:
    kernel.mount("memory", "memory", home="/docker/abc", root="/docker/abc")
    with enter(kernel) as container:
        assert kernel.where() == ["memory/e2e/bench"]
        assert container.paths == {"memory": "/docker/abc/e2e/bench"}
    assert kernel.where() == ["memory"]


def test_children_that_are_left_come_back_too(kernel: FakeKernel) -> None:
    root = kernel.mount("unified", ALL, home=SCOPE, version=2)
    with enter(kernel):
        kernel.put(CHILD, root / "e2e/bench")
        kernel.make(root / "e2e/bench/made-by-the-child")
        kernel.put(ORPHAN, root / "e2e/bench/made-by-the-child")
    assert kernel.where(CHILD) == kernel.where(ORPHAN) == kernel.where(OWN) == [f"unified{SCOPE}"]
    assert groups(kernel, "e2e") == []


def test_closing_twice_and_in_a_fork_does_nothing(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.mount("memory", "memory", home="/before")
    container = enter(kernel)
    with monkeypatch.context() as fork:
        fork.setattr(os, "getpid", lambda: CHILD)
        container.close()
    assert kernel.where() == ["memory/e2e/bench"]
    container.close()
    container.close()
    assert kernel.where() == ["memory/before"]


def test_where_it_came_from_is_gone_it_goes_above(kernel: FakeKernel) -> None:
    root = kernel.mount("unified", ALL, home=SCOPE, version=2)
    with enter(kernel):
        kernel.remove(root / SCOPE.strip("/"))
    assert kernel.where() == ["unified"]  # those between hand controllers on, so no process may be in them


def test_a_user_s_own_part_of_the_tree_needs_no_root(kernel: FakeKernel) -> None:
    root = kernel.mount("unified", ALL, home=TERMINAL, version=2)
    kernel.owned = own(root, "/user.slice/user-1000.slice/user@1000.service")
    with enter(kernel) as container:
        assert kernel.where() == ["unified/user.slice/user-1000.slice/user@1000.service/e2e/bench"]
        assert container.paths["memory"].endswith("/user@1000.service/e2e/bench")
    assert kernel.where() == [f"unified{TERMINAL}"]


def test_what_a_session_was_not_given_is_not_counted(kernel: FakeKernel) -> None:
    root = kernel.mount("unified", ALL, home=TERMINAL, version=2)
    user = "/user.slice/user-1000.slice/user@1000.service"
    (root / user.strip("/") / "cgroup.controllers").write_text("memory pids")
    (root / user.strip("/") / "cgroup.subtree_control").write_text("memory pids")
    kernel.owned = own(root, user)
    with enter(kernel) as container:
        assert container.not_counted == {"cpu", "io"}


@pytest.mark.parametrize("version", [1, 2])
def test_the_commands_that_the_error_prints_allow_it(kernel: FakeKernel, version: int) -> None:
    if version == 1:
        version_1(kernel, home=SCOPE)
    else:
        kernel.mount("unified", ALL, home=SCOPE, version=2)
    kernel.owned = set()
    with pytest.raises(NotPermitted) as caught:
        enter(kernel)
    assert kernel.where() == sorted(f"{point.name}{SCOPE}" for point in kernel.mounts)
    for command in caught.value.commands:
        assert command in str(caught.value)
    assert caught.value.action == "fix-machine"
    kernel.run(caught.value.commands)
    for _ in range(2):  # once is enough for ever
        with enter(kernel):
            assert f"{kernel.mounts[0].name}/e2e/bench" in kernel.where()
        assert kernel.where() == sorted(f"{point.name}{SCOPE}" for point in kernel.mounts)
    assert groups(kernel, "e2e") != [] or os.geteuid() == 0  # made ready for this user, so it stays


def test_the_commands_of_version_1(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    kernel.mount("memory", "memory", home=SCOPE)
    kernel.owned = set()
    with pytest.raises(NotPermitted) as caught:
        enter(kernel)
    memory = kernel.folder / "memory"
    assert caught.value.commands == (
        f"sudo mkdir -p {memory}/e2e",
        f"sudo chown -R 4242 {memory}/e2e",
        f"sudo chown 4242 {memory}{SCOPE}/cgroup.procs",
    )


def test_processes_beside_it_in_a_container(kernel: FakeKernel) -> None:
    root = kernel.mount("unified", ALL, home="/", root="/", version=2)
    (root / "cgroup.type").write_text("domain")  # a namespace's root, not the machine's
    kernel.put(STRANGER, root)
    with pytest.raises(NotPermitted, match="processes beside it") as caught:
        enter(kernel)
    kernel.run(caught.value.commands)
    (kernel.proc / "cgroup").write_text("0::/init")
    with enter(kernel):
        assert kernel.where() == ["unified/e2e/bench"]
    assert kernel.where() == kernel.where(STRANGER) == ["unified/init"]


def test_a_read_only_tree_says_how_a_container_gets_another(kernel: FakeKernel) -> None:
    kernel.mount("unified", ALL, version=2, options="ro,nosuid")
    with pytest.raises(NotPermitted, match="--cgroupns=host") as caught:
        enter(kernel)
    (command,) = caught.value.commands
    assert command.endswith(f"mount -o remount,bind,rw {kernel.folder / 'unified'}")


def test_a_name_that_a_live_process_has(kernel: FakeKernel) -> None:
    root = kernel.mount("memory", "memory", home="/before")
    kernel.put(STRANGER, root / "e2e/bench")
    descriptor = os.open(root / "e2e/bench", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(e2e.Conflict, match=str(STRANGER)) as caught:
            enter(kernel)
        assert caught.value.action == "retry"
        with enter(kernel, "another"):
            assert groups(kernel, "bench") == ["memory/e2e/bench"]
    finally:
        os.close(descriptor)
    assert kernel.where(STRANGER) == ["memory/e2e/bench"]


def test_one_that_is_removed_while_it_is_read_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> str:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(Path, "read_text", gone)
    with pytest.raises(FileNotFoundError, match=r"cgroup\.procs"):
        Files().processes(Path("/e2e/bench"))


def test_one_in_another_s_place_is_between_them(kernel: FakeKernel) -> None:
    kernel.mount("memory", "memory", home="/before")
    with enter(kernel, "outer"):
        (kernel.proc / "cgroup").write_text("0:memory:/e2e/outer")
        with pytest.raises(e2e.Conflict, match="already; give another name"):
            enter(kernel, "outer")
        with enter(kernel, "inner"):
            assert kernel.where() == ["memory/e2e/inner"]
        assert kernel.where() == ["memory/e2e/outer"]
    assert kernel.where() == ["memory/before"]


def test_what_killed_processes_left_is_taken_over_or_removed(kernel: FakeKernel) -> None:
    root = kernel.mount("memory", "memory", home="/before")
    kernel.put(ORPHAN, root / "e2e/bench")
    kernel.put(STRANGER, root / "e2e/in-use")
    kernel.make(root / "e2e/left")
    with enter(kernel):
        assert kernel.where(ORPHAN) == ["memory/before"]
        assert kernel.where() == ["memory/e2e/bench"]
        assert groups(kernel, "left") == []
    assert kernel.where(STRANGER) == ["memory/e2e/in-use"]


def test_what_killed_processes_left_is_found_and_removed(kernel: FakeKernel) -> None:
    version_1(kernel, home="/user.slice")
    root = kernel.folder / "memory"
    kernel.put(STRANGER, root / "e2e/in-use")
    kernel.put(STRANGER, root / "e2e/held/inner")
    with enter(kernel, "alive"):
        for left in ("again", "shop.left", "shop.left/inner", "hidden"):
            kernel.make(root / "e2e" / left)
        (root / "e2e/hidden/cgroup.procs").write_text("0\n")  # one that this process' namespace does not see
        for left in ("memory/user.slice/e2e", "memory/user.slice/e2e/below", "pids/e2e/shop.left"):
            kernel.make(kernel.folder / left)
        found = find_leftovers(read_hierarchies(kernel.proc), kernel)
        assert [(left.path, left.environment, len(left.groups)) for left in found] == [
            ("/e2e/again", "", 1),
            ("/e2e/shop.left", "shop", 2),
            ("/user.slice/e2e/below", "", 1),
        ]
        kernel.put(ORPHAN, root / "e2e/again")  # meanwhile
        for left in found[1:]:
            left.remove(kernel)
            left.remove(kernel)
        with pytest.raises(CgroupError, match=r"/e2e/again cannot be removed: .*busy"):
            found[0].remove(kernel)
        assert find_leftovers(read_hierarchies(kernel.proc), kernel) == []
        assert "memory/e2e/alive" in kernel.where()
    assert groups(kernel, "e2e") == ["memory/e2e"]
    assert kernel.where(STRANGER) == ["memory/e2e/held/inner", "memory/e2e/in-use"]


def test_what_this_user_may_not_remove_is_not_told(kernel: FakeKernel) -> None:
    root = kernel.mount("memory", "memory", home="/before")
    kernel.make(root / "e2e")
    kernel.make(root / "e2e/left")
    kernel.owned = set()
    assert find_leftovers(read_hierarchies(kernel.proc), kernel) == []


def test_one_that_is_held_is_not_left(kernel: FakeKernel) -> None:
    root = kernel.mount("memory", "memory", home="/before")
    kernel.make(root / "e2e")
    kernel.make(root / "e2e/begins")
    (left,) = find_leftovers(read_hierarchies(kernel.proc), kernel)
    lock = kernel.lock(root / "e2e/begins")
    assert lock is not None
    assert find_leftovers(read_hierarchies(kernel.proc), kernel) == []
    left.remove(kernel)
    assert groups(kernel, "begins") == ["memory/e2e/begins"]
    os.close(lock)


def test_one_that_is_made_anew_while_it_is_looked_at_is_not_removed(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes it anew has it, and may be about to enter it."""
    root = kernel.mount("memory", "memory", home="/before")
    group = root / "e2e/again"
    kernel.make(root / "e2e")
    kernel.make(group)
    (left,) = find_leftovers(read_hierarchies(kernel.proc), kernel)

    def late(_descriptor: int, _how: int) -> None:
        kernel.remove(group)
        kernel.make(group)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(FileNotFoundError):
        kernel.lock(group)
    left.remove(kernel)
    assert groups(kernel, "again") == ["memory/e2e/again"]


def test_who_looks_at_it_may_take_long(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    root = kernel.mount("memory", "memory", home="/before")
    kernel.make(root / "e2e")
    kernel.make(root / "e2e/bench")
    locks, paused = [kernel.lock(root / "e2e/bench")], 0.0

    def pause(seconds: float) -> None:
        nonlocal paused
        paused += seconds
        if paused > 5 and locks and (lock := locks.pop()) is not None:
            os.close(lock)

    monkeypatch.setattr(time, "sleep", pause)
    with enter(kernel):
        assert kernel.where() == ["memory/e2e/bench"]
    assert not locks


@pytest.mark.parametrize("version", [1, 2])
def test_what_shall_outlive_this_process_goes_to_where_it_came_from(kernel: FakeKernel, version: int) -> None:
    words = "memory" if version == 1 else ALL.replace(",", " ")
    root = kernel.mount("tree", words, home="/user.slice/terminal", version=version)
    kernel.put(CHILD, root / "elsewhere")
    release(CHILD)
    assert kernel.where(CHILD) == ["tree/elsewhere"]
    with enter(kernel, "outer") as outer, enter(kernel, "inner"):
        kernel.put(ORPHAN, root / "e2e/inner")
        release(CHILD)
        assert kernel.where(CHILD) == ["tree/user.slice/terminal"]
        kernel.refused[root / "user.slice/terminal/cgroup.procs"] = errno.EACCES
        release(ORPHAN)
        assert kernel.where(ORPHAN) == ["tree/e2e/inner"]
        kernel.refused.clear()
        outer.close()
    assert kernel.where() == kernel.where(ORPHAN) == ["tree/user.slice/terminal"]


def test_a_refusal_in_one_hierarchy_undoes_the_others(kernel: FakeKernel) -> None:
    version_1(kernel, home="/before")
    before = kernel.where()
    kernel.refused[kernel.folder / "pids/e2e/bench/cgroup.procs"] = errno.ENOSPC
    with pytest.raises(CgroupError, match=r"/e2e/bench: .*No space"):
        enter(kernel)
    assert kernel.where() == before
    assert groups(kernel, "bench") == []


def test_a_process_in_a_cgroup_of_its_own_starts_another_beside_it(kernel: FakeKernel) -> None:
    kernel.mount("memory", "memory", home="/e2e/first")
    with enter(kernel):
        assert kernel.where() == ["memory/e2e/bench"]
    assert kernel.where() == ["memory/e2e/first"]


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="Linux"):
        read_hierarchies(tmp_path)


def test_a_name_that_is_no_label() -> None:
    from e2e.cgroups import current_process_as_container

    with pytest.raises(e2e.InvalidArgument, match="a cgroup"):
        current_process_as_container("../../docker")
    with pytest.raises(e2e.InvalidArgument, match="an environment"):
        current_process_as_container("bench", "../docker")


def test_processes_of_several_environments_have_the_same_name(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from e2e.cgroups import current_process_as_container, process

    monkeypatch.setattr(process, "read_hierarchies", lambda: read_hierarchies(kernel.proc))
    monkeypatch.setattr(process, "Files", lambda: kernel)
    kernel.mount("memory", "memory")
    with current_process_as_container(environment="shop") as container:
        assert container.name == "test-process"
        assert container.paths == {"memory": "/e2e/shop.test-process"}
        assert kernel.where() == ["memory/e2e/shop.test-process"]
