"""A peer's driver: a process that reads commands and answers each, `ok ...` or `error ...`, one line each.

The commands are `prepare <order>`, `up`, `down`, `metric <value>`, `story`, `kept` and `quit`; a driver need not
know those that its peer has no word for. When its input ends it takes down what it brought up.
"""

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

ANSWER_SECONDS = 900.0
"""The slowest peer brings 200 containers up one after the other."""
_QUIT_SECONDS = 60.0
_TOLD_CHARACTERS = 1000


class PeerFailedError(Exception):
    """A peer could not do what it was asked for; says what it said."""


class DriverProcess:
    """Runs within the block, in a process group of its own: Ctrl+C is for the benchmark, which then ends it."""

    def __init__(self, command: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._variables = variables

    @property
    def pid(self) -> int:
        """Of the driver."""
        return self._process.pid

    def ask(self, line: str, seconds: float = ANSWER_SECONDS) -> str:
        """Gives what stands behind `ok`. Raises PeerFailedError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerFailedError(f"the driver has ended: {self._said()}") from error
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise PeerFailedError(f"no answer to {line.split()[0]!r} within {seconds:g} s")
        word, _, rest = self._process.stdout.readline().strip().partition(" ")
        if word != "ok":
            raise PeerFailedError(rest or f"the driver has ended: {self._said()}")
        return rest

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self._variables},
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate("quit\n", _QUIT_SECONDS)
        # Whatever it started itself is in its group, and may have outlived it.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-_TOLD_CHARACTERS:]
