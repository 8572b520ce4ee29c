"""A controller that watches a folder, as a user runs it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.conftest import CONTAINED, FOLDER
from tests.contained import MINE
from tests.controller_image import SECONDS, SOCKET, controller_image, until
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
        return self._process.wait(100)

    def stop(self) -> None:
        """Ends it, and with it all that it made."""
        try:
            assert self.end(signal.SIGTERM) == 0, self.log()
        finally:
            self._process.kill()


class ContainedController(Controller):
    """The same in a container, where the whole suite is run so."""

    _container: Container | None = None

    @property
    def pid(self) -> int:
        pytest.skip("is about a process on this machine")

    def log(self) -> str:
        return self._running.logs().decode()

    def start(self) -> None:
        if self._container is None:
            place = str(self.folder.parent)
            command = [f"--folder={self.folder}", f"--listen={self.address}", "--delete-on-exit"]
            self._client = docker_client()
            self._container = self._client.__enter__().containers.run(
                controller_image(),
                [*command, "--policy=permissive", *self.options],
                detach=True,
                user=MINE,
                group_add=[SOCKET.stat().st_gid],
                environment={"E2E_STATE_DIR": str(self.state), "E2E_HEALTH_SOCKET": f"{place}/health.sock"},
                volumes={path: {"bind": path} for path in (str(SOCKET), place, os.environ[FOLDER])},
            )
        else:
            self._container.start()
        until(self._serves, self._running)

    def kill(self) -> None:
        self._running.kill()
        self._running.wait(timeout=SECONDS)

    def end(self, number: signal.Signals) -> int:
        if self._status() != "exited":
            self._running.kill(number)
        return int(self._running.wait(timeout=SECONDS)["StatusCode"])

    def stop(self) -> None:
        try:
            assert self.end(signal.SIGTERM) == 0, self.log()
        finally:
            self._running.remove(force=True, v=True)
            self._client.__exit__(None, None, None)

    @property
    def _running(self) -> Container:
        assert self._container is not None
        return self._container

    def _status(self) -> str:
        self._running.reload()
        return str(self._running.status)

    def _serves(self) -> bool:
        assert self._status() != "exited", self.log()
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            return connection.connect_ex(self.address.removeprefix("unix://")) == 0


def start_controller(base: Path, options: Sequence[str] = ()) -> Controller:
    """A process, or a container where the whole suite is run on a controller in one."""
    return (ContainedController if CONTAINED in os.environ else Controller)(base, options)


def names_on_engine(environment: str) -> list[str]:
    """Containers, networks and volumes that have the environment in their names."""
    with docker_client() as client:
        names = [str(it.name) for it in client.containers.list(all=True, ignore_removed=True)]
        names += [str(it.name) for it in client.networks.list()]
        names += [str(it.name) for it in client.volumes.list()]
    return [name for name in names if environment in name]
