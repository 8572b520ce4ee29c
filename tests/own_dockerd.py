"""A `dockerd` of the tests' own: with folders, socket, containerd and networks that are nobody else's."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests.faults.engine import unmount_below

IMAGE = "docker.io/library/busybox:1.36"
PATIENCE = 180.0
"""Seconds for a start, after which its containers are ended that a kill has left, or an end."""
SEARCH_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
WITH_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # SIOCSIFFLAGS, IFF_UP
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
# Networks of its own: a daemon without a default bridge removes docker0, whosever it is.
ALONE = ("unshare", "--net", sys.executable, "-c", WITH_LOOPBACK)


class OwnDockerd:
    """It touches no firewall rules. `enter` is the command that takes it into its network."""

    def __init__(self, base: Path, *arguments: str, enter: tuple[str, ...] = ALONE) -> None:
        self.url = f"unix://{base}/d.sock"
        self.log = base / "dockerd.log"
        self._base = base
        self._arguments = arguments
        self._enter = enter
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # A killed daemon leaves these, and where nobody reaps its containerd, that counts as alive for ever.
        for left in (self._base / "d.pid", self._base / "x" / "containerd" / "containerd.pid"):
            left.unlink(missing_ok=True)
        # In hexadecimal: a folder's name may hold what the name of a namespace may not, such as `-_`.
        base, name = self._base, self._base.name.encode().hex()
        command = [
            *self._enter,
            "dockerd",
            f"--host={self.url}",
            f"--data-root={base}/data",
            f"--exec-root={base}/x",
            f"--pidfile={base}/d.pid",
            f"--containerd-namespace={name}",
            f"--containerd-plugins-namespace={name}-plugins",
            # Killed, overlay2 leaks mounts, and then cannot remove its containers.
            "--storage-driver=vfs",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
            *self._arguments,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "PATH": SEARCH_PATH}
            )

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(5)
            try:
                asking.connect(self.url.removeprefix("unix://"))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in asking.recv(100)
            except OSError:
                return False

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process is not None
            assert self._process.poll() is None, self.last_words()
            assert time.monotonic() < deadline, self.last_words()
            time.sleep(0.2)

    def end(self, *, kill: bool) -> None:
        assert self._process is not None
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    def sweep(self) -> None:
        """Ends what a daemon that did not come back has left: known by our folder's name."""
        for shim in processes(self._base.name):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                for child in Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
                    kill(int(child))
            kill(shim)
        unmount_below(self._base)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        client = docker.DockerClient(base_url=self.url, timeout=60)
        with contextlib.closing(client):
            yield client


@contextmanager
def own_dockerd(
    base: Path, image: bytes, *arguments: str, enter: tuple[str, ...] = ALONE
) -> Iterator[OwnDockerd]:
    """One that runs, and has the image (a saved busybox); skips the test where none can."""
    if os.geteuid() != 0 or shutil.which("dockerd", path=SEARCH_PATH) is None:
        pytest.skip("a second dockerd needs root, and the program")
    own = OwnDockerd(base, *arguments, enter=enter)
    own.start()
    try:
        try:
            own.wait()
        except AssertionError as error:
            pytest.skip(f"a second dockerd does not run here; its log ends:\n{error}")
        with own.client() as client:
            client.images.load(image)
            client.api.tag("busybox:1.36", "busybox", "1.36")
        yield own
    finally:
        own.end(kill=False)
        own.sweep()


def processes(name: str) -> list[int]:
    """Containerd and its shims, and no process of ours, that have the name in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            program, *arguments = (entry / "cmdline").read_text(errors="replace").split("\0")
        except (OSError, ValueError):
            continue
        if "containerd" in program and any(name in argument for argument in arguments):
            found.append(int(entry.name))
    return found


def kill(process: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(process, signal.SIGKILL)
