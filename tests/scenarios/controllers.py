"""A controller that watches a folder, as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Controller:
    """A controller that watches a folder, as a user runs it."""

    def __init__(self, base: Path, options: Sequence[str] = ()) -> None:
        self.folder = base / "manifests"
        self.folder.mkdir()
        self.state = base / "state"
        self.address = f"unix://{base}/controller.sock"
        self._options = options
        self._log = base / "log"
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        """Starts it, again after `kill`; returns when it serves."""
        receive, ready = os.pipe()
        options = [f"--folder={self.folder}", f"--state-dir={self.state}", f"--listen={self.address}"]
        command = [
            sys.executable,
            "-m",
            "e2e_controller",
            *options,
            f"--ready-fd={ready}",
            "--delete-on-exit",
            *self._options,
        ]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log, pass_fds=[ready])
        os.close(ready)
        with os.fdopen(receive) as pipe:
            assert pipe.readline() == "ready\n", self.log()

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        try:
            assert self._process.wait(30) == 0, self.log()
        finally:
            self._process.kill()
