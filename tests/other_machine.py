"""Another machine, as far as the network goes: a `dockerd` and an `sshd` at the other end of a cable."""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.own_dockerd import SEARCH_PATH, OwnDockerd, own_dockerd

_PATIENCE = 60.0
_DICE = random.SystemRandom()  # what others seed gives workers the same subnet
_UNTIL_THE_END = "import sys; print('ready', flush=True); sys.stdin.read()"
_SSHD = """
Port 22
ListenAddress {address}
HostKey {base}/host
AuthorizedKeysFile {base}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 3:100:3
"""
_SSH = """
Host *
    IdentityFile {base}/key
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {base}/known
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""


@dataclass(frozen=True)
class OtherMachine:
    """Where it is reached; its `base` folder has the certificates and keys towards it."""

    base: Path
    address: str
    authority: Authority
    dockerd: OwnDockerd
    enter: tuple[str, ...]

    @property
    def tcp(self) -> str:
        """Its engine, over TLS."""
        return f"tcp://{self.address}:2376"

    @property
    def ssh(self) -> str:
        """Its engine, by ssh."""
        return f"ssh://root@{self.address}{self.dockerd.url.removeprefix('unix://')}"

    @contextmanager
    def sshd(self) -> Iterator[Path]:
        """Serves ssh; gives the folder of an `ssh` that is configured for it. Skips without sshd."""
        program = shutil.which("sshd", path=SEARCH_PATH)
        if program is None or shutil.which("ssh") is None:
            pytest.skip("needs OpenSSH's server (openssh-server) and client")
        self._write_keys()
        Path("/run/sshd").mkdir(exist_ok=True)  # as its service does: without it, it does not start
        command = [*self.enter, program, "-D", "-e", "-f", str(self.base / "sshd_config")]
        with (self.base / "sshd.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for(self.address, 22, self.base / "sshd.log")
            yield self.base / "bin"
        finally:
            process.terminate()
            process.wait()

    def _write_keys(self) -> None:
        base = self.base
        for name in ("host", "key"):
            if not (base / name).exists():
                make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(base / name)]
                subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(base / "key.pub", base / "authorized")
        (base / "known").write_text(f"{self.address} {(base / 'host.pub').read_text()}")
        (base / "sshd_config").write_text(_SSHD.format(address=self.address, base=base))
        (base / "ssh_config").write_text(_SSH.format(base=base))
        (base / "bin").mkdir(exist_ok=True)
        wrapper = base / "bin" / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {base}/ssh_config "$@"\n')
        wrapper.chmod(0o755)


@contextmanager
def other_machine(base: Path, image: bytes) -> Iterator[OtherMachine]:
    """One that runs an engine with that image (a saved busybox); skips the test where none can."""
    with cable() as (address, enter):
        authority = Authority(base)
        authority.issue("server", address)
        authority.issue("", "client")
        tls = (f"--tlscacert={base}/ca.pem", f"--tlscert={base}/server-cert.pem")
        listen = (f"--host=tcp://{address}:2376", "--tlsverify", *tls, f"--tlskey={base}/server-key.pem")
        with own_dockerd(base, image, *listen, enter=enter) as dockerd:
            yield OtherMachine(base, address, authority, dockerd, enter)


@contextmanager
def cable() -> Iterator[tuple[str, tuple[str, ...]]]:
    """A network of its own: the address by which it is reached, and the command that goes into it."""
    if os.geteuid() != 0 or not all(shutil.which(name, path=SEARCH_PATH) for name in ("ip", "nsenter")):
        pytest.skip("a second machine needs root, and the programs ip and nsenter")
    command = ["unshare", "--net", sys.executable, "-c", _UNTIL_THE_END]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        try:
            if not holder.stdout.readline():
                pytest.skip("network namespaces cannot be made here")
            yield _connect(holder.pid), ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
        finally:
            holder.stdin.close()  # with the last of its processes the network goes, and this end of the cable


def _connect(process: int) -> str:
    """Lays a cable into the network of a process; gives the address at its far end."""
    subnet = _DICE.randrange(2**14)
    near, far = (f"10.215.{subnet >> 6}.{((subnet & 63) << 2) + end}" for end in (1, 2))
    name = f"e2e{process}"
    inside = ("nsenter", f"--net=/proc/{process}/ns/net", "ip")
    for command in (
        ("ip", "link", "add", name, "type", "veth", "peer", "name", "cable", "netns", str(process)),
        ("ip", "address", "add", f"{near}/30", "dev", name),
        ("ip", "link", "set", name, "up"),
        (*inside, "link", "set", "lo", "up"),
        (*inside, "address", "add", f"{far}/30", "dev", "cable"),
        (*inside, "link", "set", "cable", "up"),
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PATH": SEARCH_PATH}, check=False
        )
        if done.returncode:
            pytest.skip(f"a cable cannot be laid here: {done.stderr}")
    return far


def wait_for(address: str, port: int, log: Path) -> None:
    """Until something listens there; else fails with what its log says."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
