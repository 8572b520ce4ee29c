"""What is done with the cgroup file system; a test puts a kernel of its own in its place."""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path


class Files:
    """Every access to a hierarchy. All raise OSError."""

    def read(self, path: Path) -> str:
        """A control file's text."""
        try:
            return path.read_text()
        except OSError as error:
            if error.errno == errno.ENODEV:  # it was opened, and then its cgroup removed
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
            raise

    def write(self, path: Path, text: str) -> None:
        """Writes to a control file in one call; none is ever made by it."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def make(self, group: Path) -> None:
        """Makes a cgroup."""
        group.mkdir()

    def remove(self, group: Path) -> None:
        """Removes a cgroup that has neither processes nor cgroups in it."""
        group.rmdir()

    def groups_in(self, group: Path) -> Sequence[Path]:
        """The cgroups in a cgroup."""
        return sorted(entry for entry in group.iterdir() if entry.is_dir())

    def may_write(self, path: Path) -> bool:
        """Whether this process may."""
        return os.access(path, os.W_OK, effective_ids=True)

    def lock(self, group: Path) -> int | None:
        """A descriptor that holds it until it is closed or this process ends; None: another has it.

        Who holds a cgroup may be sure that it is the one of that path: nobody else removes it.
        """
        descriptor = os.open(group, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), group.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(group))
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:  # it was removed after it had been opened; there may be another by now
            os.close(descriptor)
            raise
        return descriptor

    def processes(self, group: Path) -> list[int]:
        """Those in a cgroup; without those that this process' namespace does not see, which are told as 0."""
        return [int(pid) for pid in self.read(group / "cgroup.procs").split() if pid != "0"]

    def words(self, path: Path) -> frozenset[str]:
        """The words of a control file, such as the names of controllers."""
        return frozenset(self.read(path).split())
