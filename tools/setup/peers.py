"""The benchmark's peers, installed below `.cache/peers` by the package managers that their users have.

What is wanted is pinned in benchmarks/peers: a requirements file with hashes, and Go modules with their sums.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from setup.debian import PackageError, has_apt, install, is_root
from setup.go_programs import GoError, find_go

TIMEOUT = 3600
COMPOSE_MODULE = "github.com/docker/compose/v2"
GO_FRAMEWORK_MODULE = "github.com/efficientgo/e2e"
COMPOSE_PACKAGE = "docker-compose"
_NICE = 19


class PeerError(Exception):
    """A peer cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How to start it, and what it is."""

    command: tuple[str, ...]
    version: str


def install_all(sources: Path, folder: Path) -> Iterator[tuple[str, Peer | PeerError]]:
    """Each peer, or why it is left out. `sources` is benchmarks/peers; quick where all is there."""
    for name, make in INSTALLERS.items():
        try:
            yield name, make(sources / name, folder)
        except PeerError as error:
            yield name, error


def testcontainers(source: Path, folder: Path) -> Peer:
    """A virtual environment of its own, from PyPI."""
    requirements = source / "requirements.txt"
    target = folder / source.name
    python = target / "bin" / "python"

    def make() -> None:
        shutil.rmtree(target, ignore_errors=True)
        venv.create(target, with_pip=True)
        pip = [str(python), "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]
        _run([*pip, "--require-hashes", "--requirement", str(requirements)])

    _once(target, [sys.version, requirements.read_text()], make)
    version = _pinned(requirements, rf"^{source.name}==(\S+)")
    return Peer((str(python), str(source / "driver.py")), version)


def efficientgo(source: Path, folder: Path) -> Peer:
    """Our driver over the Go framework, compiled."""
    if shutil.which("docker") is None:
        raise PeerError("it runs the engine's command line `docker`, which is not on the PATH")
    binary = _compiled(source, folder, ".", "")
    return Peer((str(binary),), _pinned(source / "go.mod", rf"{GO_FRAMEWORK_MODULE} (\S+)"))


def compose(source: Path, folder: Path) -> Peer:
    """Compiled; Debian's package where that fails."""
    version = _pinned(source / "go.mod", rf"{COMPOSE_MODULE} (\S+)")
    try:
        binary = _compiled(
            source, folder, f"{COMPOSE_MODULE}/cmd", f"-X {COMPOSE_MODULE}/internal.Version={version}"
        )
    except PeerError as error:
        return _debians_compose(str(error))
    return Peer((str(binary),), version)


INSTALLERS: Mapping[str, Callable[[Path, Path], Peer]] = {
    "compose": compose,
    "testcontainers": testcontainers,
    "efficientgo": efficientgo,
}


def _debians_compose(reason: str) -> Peer:
    """Raises PeerError for version 1, which has no `up --wait`."""
    if shutil.which(COMPOSE_PACKAGE) is None:
        if not has_apt() or not is_root():
            raise PeerError(f"{reason}; Debian's {COMPOSE_PACKAGE} needs Debian and root")
        try:
            install([COMPOSE_PACKAGE], "the benchmark's peer")
        except PackageError as error:
            raise PeerError(f"{reason}; {error}") from error
    version = _run([COMPOSE_PACKAGE, "version", "--short"]).strip().removeprefix("v")
    if version.startswith("1."):
        raise PeerError(f"{reason}; Debian's {COMPOSE_PACKAGE} is {version}, which has no `up --wait`")
    return Peer((COMPOSE_PACKAGE,), version)


def _compiled(source: Path, folder: Path, package: str, flags: str) -> Path:
    """The binary. The module's proxy, checksums and other settings of Go stay the machine's own."""
    binary = folder / source.name / source.name
    texts = [path.read_text() for path in sorted(source.iterdir()) if path.suffix in (".go", ".mod", ".sum")]

    def make() -> None:
        try:
            go = find_go()
        except GoError as error:
            raise PeerError(f"no Go to compile it with: {error}") from error
        print(f"compiling {source.name}: this may take minutes", flush=True)
        command = [
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            f"-s -w {flags}".strip(),
            "-o",
            str(binary),
            package,
        ]
        _run([str(go), *command], source, {"GOWORK": "off", "CGO_ENABLED": "0"})

    _once(binary.parent, texts, make)
    return binary


def _once(target: Path, texts: Sequence[str], make: Callable[[], None]) -> None:
    """Makes it, unless it was made of the same."""
    stamp = target / ".stamp"
    wanted = sha256("\0".join(texts).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    make()
    target.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)


def _pinned(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    if found is None:
        raise PeerError(f"{file} pins no {pattern}")
    return found[1]


def _run(
    command: Sequence[str], folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> str:
    """What it printed. Raises PeerError with its last lines."""
    try:
        finished = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            preexec_fn=_be_nice,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"`{command[0]}`: {error}") from error
    if finished.returncode:
        evidence = "; ".join((finished.stderr or finished.stdout).splitlines()[-3:])
        raise PeerError(f"`{' '.join(command[:3])} ...` ended with {finished.returncode}: {evidence}")
    return finished.stdout


def _be_nice() -> None:
    os.nice(_NICE)
