"""A controller that watches a folder, as a user runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.engine import docker_client


class Controller:
    """Deletes what it made when it is stopped, unless `options` say something else."""

    def __init__(self, base: Path, options: Sequence[str] = ()) -> None:
        self.folder = base / "manifests"
        self.folder.mkdir(exist_ok=True)
        self.state = base / "state"
        self.address = f"unix://{base}/controller.sock"
        self.options = options
        self._log = base / "log"
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        """Starts it, also again, and waits until it serves."""
        receive, ready = os.pipe()
        places = [f"--folder={self.folder}", f"--state-dir={self.state}", f"--listen={self.address}"]
        options = [*places, f"--ready-fd={ready}", "--delete-on-exit", *self.options]
        command = [sys.executable, "-m", "e2e_controller", *options]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log, pass_fds=[ready])
        os.close(ready)
        with os.fdopen(receive) as pipe:
            assert pipe.readline() == "ready\n", self.log()

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.wait()

    def end(self, number: signal.Signals) -> int:
        """Sends it a signal, and gives its exit code."""
        self._process.send_signal(number)
        return self._process.wait(30)

    def stop(self) -> None:
        """Ends it, and with it all that it made."""
        try:
            assert self.end(signal.SIGTERM) == 0, self.log()
        finally:
            self._process.kill()


def names_on_engine(environment: str) -> list[str]:
    """Containers, networks and volumes that have the environment in their names."""
    with docker_client() as client:
        names = [str(it.name) for it in client.containers.list(all=True, ignore_removed=True)]
        names += [str(it.name) for it in client.networks.list()]
        names += [str(it.name) for it in client.volumes.list()]
    return [name for name in names if environment in name]
