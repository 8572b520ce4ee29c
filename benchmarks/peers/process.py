"""A peer's driver: a process that reads commands and answers each, `ok ...` or `error ...`, one line each.

The commands are `prepare <order>`, `up`, `down`, `metric <value>`, `story <prefix> <flags>`, `kept`
and `quit`; a driver need not know those that its peer has no word for. When its input ends, it takes
down what it has up.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

ANSWER_SECONDS = 900.0
"""The slowest peer brings 200 containers up one after the other."""
_QUIT_SECONDS = 300.0
_QUIT_SECONDS_WHEN_BROKEN = 5.0
"""It may be in the midst of an order; what it leaves behind is found by name."""
_LOOK_SECONDS = 0.2
_TOLD_LINES = 4


class PeerFailedError(Exception):
    """A peer could not do what it was asked for; says what it said."""


class DriverProcess:
    """Runs within the block, in a session of its own: Ctrl+C is for the benchmark, which then ends it."""

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
        with suppress(OSError):  # it has ended, which the wait for the answer tells
            self._input.write(line + "\n")
            self._input.flush()
        deadline = time.monotonic() + seconds
        while not select.select([self._output], [], [], _LOOK_SECONDS)[0]:
            if self._process.poll() is not None:  # its children may have its output open for long
                raise PeerFailedError(f"the driver has ended: {self._said()}")
            if time.monotonic() > deadline:
                raise PeerFailedError(f"no answer to {line.split()[0]!r} within {seconds:g} s")
        word, _, rest = self._output.readline().strip().partition(" ")
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
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError):
            self._input.write("quit\n")
            self._input.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_QUIT_SECONDS if failure is None else _QUIT_SECONDS_WHEN_BROKEN)
        # Whatever it started itself is in its group, and may have outlived it.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(OSError):
            self._input.close()
        self._output.close()

    def _said(self) -> str:
        return "; ".join(self._log.read_text(errors="replace").split("\n")[-_TOLD_LINES:])
