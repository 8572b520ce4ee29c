"""A controller that watches a folder, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path


class Controller:
    """A controller that watches a folder, as a user runs it."""

    def __init__(self, base: Path, *more: str) -> None:
        self.folder = base / "manifests"
        self.folder.mkdir()
        self.state = base / "state"
        self.address = f"unix://{base}/controller.sock"
        self._log = (base / "log").open("w+")
        receive, ready = os.pipe()
        options = [f"--folder={self.folder}", f"--state-dir={self.state}", f"--listen={self.address}"]
        command = [
            sys.executable,
            "-m",
            "e2e_controller",
            *options,
            f"--ready-fd={ready}",
            "--delete-on-exit",
            *more,
        ]
        self._process = subprocess.Popen(command, stderr=self._log, stdout=self._log, pass_fds=[ready])
        os.close(ready)
        with os.fdopen(receive) as pipe:
            assert pipe.readline() == "ready\n", self.log()

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> None:
        self._process.terminate()
        try:
            assert self._process.wait(30) == 0, self.log()
        finally:
            self._process.kill()
            self._log.close()
