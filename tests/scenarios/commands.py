"""The `e2e` command as a process of its own, and what the engine has of an environment."""

import os
import subprocess
import sys
from pathlib import Path

from tests.engine import docker_client

E2E = str(Path(sys.executable).with_name("e2e"))
SECONDS = 240.0


def e2e(
    *arguments: str | Path, stdin: str | None = None, seconds: float = SECONDS, **variables: str
) -> tuple[int, str, str]:
    """Runs one command line: gives exit code, standard output and standard error; no traceback, ever."""
    done = subprocess.run(
        [E2E, *map(str, arguments)],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **variables},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def ok(*arguments: str | Path, stdin: str | None = None, seconds: float = SECONDS) -> str:
    code, out, err = e2e(*arguments, stdin=stdin, seconds=seconds)
    assert code == 0, f"{arguments}: {code}\n{out}{err}"
    return out


def engine_has(environment: str) -> list[str]:
    with docker_client() as client:
        names = [str(it.name) for it in client.containers.list(all=True, ignore_removed=True)]
        names += [str(it.name) for it in client.networks.list()]
    return [name for name in names if environment in name]
