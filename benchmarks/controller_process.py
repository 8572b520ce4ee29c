"""A controller with settings of its own, beside the embedded one that the SDK starts."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class ControllerProcess:
    """Runs within the block; may be started again after `stop`, on the same state."""

    def __init__(self, state: Path, *flags: str, variables: Mapping[str, str] | None = None) -> None:
        self.state = state
        self._flags = flags
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """For the SDK's `controller`."""
        return f"unix://{self.state}/controller.sock"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Gives the seconds from its spawn until it serves. Raises RuntimeError with what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
        receive, ready = os.pipe()
        began = time.perf_counter()
        with os.fdopen(receive, "rb") as pipe, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "e2e_controller"),
                    *("--state-dir", str(self.state), "--ready-fd", str(ready), *self._flags),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(ready,),
                env=environment | self._variables,
                start_new_session=True,  # Ctrl+C is for the benchmark, which then ends it
            )
            os.close(ready)
            answered = select.select([pipe], [], [], _START_SECONDS)[0] and pipe.readline()
        seconds = time.perf_counter() - began
        if not answered:
            self.stop()
            raise RuntimeError(f"the controller does not serve:\n{self._log.read_text()[-2000:]}")
        return seconds

    def stop(self) -> None:
        """Ends it as a service manager does; containers stay."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self.state / "controller.log"
