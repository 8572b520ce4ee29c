"""A controller that watches a folder, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path


class Controller:
    """A controller that watches a folder, as a user runs it."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "manifests"
        self.folder.mkdir()
        self.state = base / "state"
        self.address = f"unix://{base}/controller.sock"
        self._log = (base / "log").open("w+")
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it serves."""
        receive, ready = os.pipe()
        options = [f"--folder={self.folder}", f"--state-dir={self.state}", f"--listen={self.address}"]
        command = [
            sys.executable,
            "-m",
            "e2e_controller",
            *options,
            f"--ready-fd={ready}",
            "--delete-on-exit",
        ]
        self._process = subprocess.Popen(command, stderr=self._log, stdout=self._log, pass_fds=[ready])
        os.close(ready)
        with os.fdopen(receive) as pipe:
            assert pipe.readline() == "ready\n", self.log()

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def kill(self) -> None:
        """Ends it in whatever it does."""
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> None:
        """Ends it, and with it all that it made."""
        self._process.terminate()
        try:
            assert self._process.wait(30) == 0, self.log()
        finally:
            self._process.kill()
            self._log.close()
