"""The engine itself is restarted in mid-convergence: one of our own, so that no other test is hurt."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .engine import (
    IMAGE,
    Controller,
    Engine,
    chances,
    open_engine,
    running,
    soak,
    unmount_below,
    until,
    workload,
)

Record = Callable[[str, object], None]
NUMBER = 6
START = 60.0
WITH_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # SIOCSIFFLAGS, IFF_UP
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
SEARCH_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class OwnEngine:
    """A `dockerd` with folders, socket, containerd and networks of its own. It touches no firewall rules."""

    def __init__(self, base: Path) -> None:
        self.url = f"unix://{base}/d.sock"
        self.log = base / "dockerd.log"
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # A killed daemon leaves these, and where nobody reaps its containerd, that counts as alive for ever.
        for left in (self._base / "d.pid", self._base / "x" / "containerd" / "containerd.pid"):
            left.unlink(missing_ok=True)
        # In hexadecimal: a folder's name may hold what the name of a namespace may not, such as `-_`.
        base, name = self._base, self._base.name.encode().hex()
        command = [
            # Networks of its own: a daemon without a default bridge removes docker0, whosever it is.
            *("unshare", "--net", sys.executable, "-c", WITH_LOOPBACK),
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
        ]
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "PATH": path}
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
        deadline = time.monotonic() + START
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
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.wait()

    def sweep(self) -> None:
        """Ends what a daemon that did not come back has left: known by our folder's name."""
        for shim in processes(self._base.name):
            for child in Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
                kill(int(child))
            kill(shim)
        unmount_below(self._base)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


@pytest.fixture
def own_engine(base: Path, engine: Engine) -> Iterator[OwnEngine]:
    if os.geteuid() != 0 or shutil.which("dockerd", path=SEARCH_PATH) is None:
        pytest.skip("a second dockerd needs root, and the program")
    own = OwnEngine(base)
    own.start()
    try:
        try:
            own.wait()
        except AssertionError as error:
            pytest.skip(f"a second dockerd does not run here; its log ends:\n{error}")
        with open_engine(own.url) as opened:
            opened.client.images.load(b"".join(engine.client.api.get_image(IMAGE)))
            opened.client.api.tag("busybox:1.36", "busybox", "1.36")
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


def test_an_engine_that_restarts(own_engine: OwnEngine, base: Path, record_property: Record) -> None:
    """By SIGTERM, which ends the containers, and by SIGKILL, which leaves them to themselves."""
    dice = chances(record_property)
    controller = Controller(
        base, own_engine.url, address_pool="10.213.0.0/16", engine_timeout="10s", resync_interval="5s"
    )
    controller.start()
    restarts, environment = soak("ENGINE_RESTARTS", 2), controller.environment
    try:
        for number in range(restarts):
            variables = {"ROUND": str(number)}
            for index in range(NUMBER):
                document = workload(f"w{index}", environment, env=variables, restartPolicy="Always")
                controller.write(f"w{index}.json", document)
            time.sleep(dice.uniform(0, 2))
            own_engine.end(kill=number % 2 == 1)
            own_engine.start()
            own_engine.wait()

        def evidence() -> str:
            return f"{controller.log()}\n{own_engine.last_words()}"

        with open_engine(own_engine.url) as opened:
            owner = controller.identity
            until(lambda: controller.is_true("Ready", NUMBER), "all are ready", evidence)
            assert running(opened, owner) == NUMBER == len(opened.containers(owner))
            for file in controller.folder.iterdir():
                file.unlink()
            until(lambda: not opened.left(owner, controller.log()), "nothing is left", evidence)
        record_property("faults", f"{restarts} restarts of an engine while {NUMBER} workloads converged")
    finally:
        controller.stop()
