"""Control groups in a folder, with the kernel's rules: what it refuses there, it refuses here."""

import errno
import os
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from e2e.cgroups.files import Files

OWN = os.getpid()
CONTROL_FILES = ("cgroup.procs", "cgroup.controllers", "cgroup.subtree_control", "cgroup.type")


def refuse(code: int, path: Path) -> OSError:
    return OSError(code, os.strerror(code), str(path))


class FakeKernel(Files):
    """Trees of both versions below one folder, and a `/proc/self` that tells of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.proc = folder, folder / "proc"
        self.proc.mkdir()
        self.unified: list[Path] = []
        self.mounts: list[Path] = []
        self.owned: set[Path] | None = None
        """What may be written to; None: all, as root may."""
        self.refused: dict[Path, int] = {}
        self._lines: list[str] = []
        self._paths: list[str] = []

    def mount(
        self,
        name: str,
        words: str,
        *,
        home: str = "/",
        root: str = "/",
        options: str = "rw",
        version: int = 1,
    ) -> Path:
        """A hierarchy in which this process is at `home`; `words` are its controllers."""
        point = self.folder / name
        self.mounts.append(point)
        if version == 2:
            self.unified.append(point)
        self._make(point, "" if root == "/" else "domain", words.replace(",", " "))
        kind = "cgroup2" if version == 2 else "cgroup"
        told = "rw" if version == 2 else f"rw,{words}"
        self._lines.append(f"31 23 0:28 {root} {point} {options} shared:1 - {kind} {kind} {told}")
        self._paths.append(f"{len(self._paths)}:{'' if version == 2 else words}:{home}")
        (self.proc / "mountinfo").write_text("\n".join(["1 0 8:1 / / rw - ext4 /dev/vda rw", *self._lines]))
        (self.proc / "cgroup").write_text("\n".join(self._paths))
        below = home.removeprefix(root).strip("/")
        self.put(OWN, point / below)
        return point

    def put(self, process: int, group: Path) -> None:
        """A process that was there before."""
        point = self._mount_of(group)
        path = point
        for part in group.relative_to(point).parts:
            if point in self.unified:
                self._hand_on(path, (path / "cgroup.controllers").read_text().split())
            path /= part
            if not path.exists():
                self._make_below(path)
        self._add(process, group)

    def where(self, process: int = OWN) -> list[str]:
        """The groups that it is in."""
        return sorted(
            str(file.parent.relative_to(self.folder))
            for file in self.folder.rglob("cgroup.procs")
            if str(process) in file.read_text().split()
        )

    def leave_out(self, process: int) -> None:
        """It ends."""
        for file in self.folder.rglob("cgroup.procs"):
            self._set(file, [pid for pid in file.read_text().split() if pid != str(process)])

    def run(self, commands: Iterable[str]) -> None:
        """What those commands do where root runs them."""
        owned, self.owned = self.owned, None
        for command in commands:
            words = shlex.split(command.removeprefix("sudo "), comments=True)
            match words:
                case ["mkdir", "-p", *paths]:
                    for path in map(Path, paths):
                        if not path.exists():
                            self.make(path)
                case ["chown", "-R", _, *paths]:
                    found = [Path(top, *rest) for path in paths for top, *rest in self._below(Path(path))]
                    owned = (owned or set()) | set(found)
                case ["chown", _, *paths]:
                    owned = (owned or set()) | set(map(Path, paths))
                case ["sh", "-c", script]:
                    self._shell(script)
                case []:
                    pass
                case _:
                    self._shell(command)
        self.owned = owned

    @staticmethod
    def _below(path: Path) -> list[tuple[Path]]:
        return [(path,), *((entry,) for entry in path.rglob("*"))]

    def _shell(self, script: str) -> None:
        match shlex.split(script):
            case ["echo", *words, ">", path]:
                for word in words:
                    self.write(Path(path), word)
            case ["for", "pid", "in", "$(cat", source, "do", "echo", "$pid", ">", target, "done"]:
                for process in Path(source.removesuffix(");")).read_text().split():
                    self.write(Path(target.removesuffix(";")), process)
            case words:
                raise AssertionError(f"what does this do: {words}")

    # What the code under test calls.

    def may_write(self, path: Path) -> bool:
        return self.owned is None or path in self.owned

    def make(self, group: Path) -> None:
        if group.exists():  # that comes first, whoever asks
            raise refuse(errno.EEXIST, group)
        self._check(group.parent)
        if not group.parent.exists():
            raise refuse(errno.ENOENT, group)
        self._make_below(group)
        if self.owned is not None:
            self.owned |= {group, *group.iterdir()}

    def remove(self, group: Path) -> None:
        self._check(group.parent)
        if (group / "cgroup.procs").read_text() or self.groups_in(group):
            raise refuse(errno.EBUSY, group)
        shutil.rmtree(group)

    def write(self, path: Path, text: str) -> None:
        self._check(path)
        if not path.exists():
            raise refuse(errno.ENOENT, path)
        if path.name == "cgroup.procs":
            self._move(int(text), path.parent)
        else:
            assert path.name == "cgroup.subtree_control"
            self._enable(path.parent, text)

    # The kernel's rules.

    def _check(self, path: Path) -> None:
        if path in self.refused:
            raise refuse(self.refused[path], path)
        if not self.may_write(path):
            raise refuse(errno.EACCES, path)

    def _move(self, process: int, group: Path) -> None:
        point = self._mount_of(group)
        sources = [
            file.parent for file in point.rglob("cgroup.procs") if str(process) in file.read_text().split()
        ]
        if not sources:
            raise ProcessLookupError(process)
        (source,) = sources
        if point in self.unified:
            if self._hands_on(group) and not self._is_root(group):
                raise refuse(errno.EBUSY, group)
            self._check(Path(os.path.commonpath([source, group])) / "cgroup.procs")
        file = source / "cgroup.procs"
        self._set(file, [pid for pid in file.read_text().split() if pid != str(process)])
        self._add(process, group)

    def _enable(self, group: Path, text: str) -> None:
        controller = text.removeprefix("+")
        if controller not in (group / "cgroup.controllers").read_text().split():
            raise refuse(errno.ENOENT, group)
        if (group / "cgroup.procs").read_text() and not self._is_root(group):
            raise refuse(errno.EBUSY, group)
        self._hand_on(group, [*self._hands_on(group), controller])

    def _hand_on(self, group: Path, controllers: Iterable[str]) -> None:
        text = " ".join(sorted(set(controllers)))
        (group / "cgroup.subtree_control").write_text(text)
        for inner in self.groups_in(group):
            (inner / "cgroup.controllers").write_text(text)

    def _hands_on(self, group: Path) -> list[str]:
        return (group / "cgroup.subtree_control").read_text().split()

    @staticmethod
    def _is_root(group: Path) -> bool:
        return not (group / "cgroup.type").exists()

    def _make_below(self, group: Path) -> None:
        controllers = ""
        if self._mount_of(group) in self.unified:
            controllers = (group.parent / "cgroup.subtree_control").read_text()
        self._make(group, "domain", controllers)

    def _make(self, group: Path, kind: str, controllers: str) -> None:
        group.mkdir()
        (group / "cgroup.procs").write_text("")
        if self._mount_of(group) in self.unified:
            (group / "cgroup.controllers").write_text(controllers)
            (group / "cgroup.subtree_control").write_text("")
            if kind:
                (group / "cgroup.type").write_text(kind)

    def _mount_of(self, group: Path) -> Path:
        return next(point for point in self.mounts if group.is_relative_to(point))

    def _add(self, process: int, group: Path) -> None:
        file = group / "cgroup.procs"
        self._set(file, [*file.read_text().split(), str(process)])

    @staticmethod
    def _set(file: Path, processes: list[str]) -> None:
        file.write_text("".join(f"{pid}\n" for pid in processes))
