"""The demo's controller in a container, as in CI: `E2E_DEMO_IMAGE=e2e-controller:dev make demo`."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import docker
from docker.errors import DockerException, NotFound

from e2e import E2EError

ENGINE = "/var/run/docker.sock"
_PAUSE = 0.05


class ContainedController:
    """Has the methods of a process that the demo needs. Its folder has the same path as here."""

    def __init__(self, image: str, root: Path, arguments: Sequence[str]) -> None:
        self._root = root
        try:
            self._engine = docker.DockerClient(f"unix://{ENGINE}", timeout=60)
            self._container = self._engine.containers.run(
                image,
                list(arguments),
                name=root.name,
                detach=True,
                user=f"{os.getuid()}:{os.getgid()}",
                group_add=[Path(ENGINE).stat().st_gid],
                volumes={ENGINE: {"bind": ENGINE}, str(root): {"bind": str(root)}},
                environment={"E2E_HEALTH_SOCKET": f"{root}/health.sock"},
            )
        except (DockerException, OSError) as error:
            raise E2EError(f"no controller in a container: {error}") from error

    def serves(self, path: str, seconds: float) -> bool:
        """Whether somebody listens at the socket within that time."""

        def connects() -> bool:
            with closing(socket.socket(socket.AF_UNIX)) as connection:
                return connection.connect_ex(path) == 0

        return self._within(seconds, lambda: connects() or self._ended) and connects()

    def log(self) -> str:
        """All that it has written."""
        return str(self._container.logs().decode(errors="replace"))

    def terminate(self) -> None:
        """Asks it to end."""
        if not self._ended:
            self._container.kill("SIGTERM")

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises `subprocess.TimeoutExpired`."""
        if timeout is not None and not self._within(timeout, lambda: self._ended):
            raise subprocess.TimeoutExpired(self._root.name, timeout)
        self._container.remove(force=True, v=True)
        self._engine.close()
        return 0

    def kill(self) -> None:
        """Ends it."""
        self._container.kill()

    @property
    def _ended(self) -> bool:
        try:
            self._container.reload()
        except NotFound:
            return True
        return str(self._container.status) == "exited"

    @staticmethod
    def _within(seconds: float, holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not (held := holds()) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return held
