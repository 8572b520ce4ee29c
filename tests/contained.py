"""Controllers in containers, as users run them in CI, and programs in others that talk to them.

As a program it runs the scenarios so: `python -m tests.contained host ...` on this machine, with a controller
in a container; `python -m tests.contained beside ...` in a container, too, in a network that both share. All
else goes to pytest.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from docker.models.containers import Container
from docker.models.networks import Network

from tests.conftest import CONTAINED, FOLDER
from tests.controller_image import BUILT, ROOT, SECONDS, SOCKET, controller_container, controller_image, until
from tests.engine import docker_client

PORT = 7000
PYTHON = "/opt/e2e/bin/python"
TEST_IMAGE = "python:3.11-slim"
MINE = f"{os.getuid()}:{os.getgid()}"


class Contained:
    """A controller's container in a network of its own, with a folder that has the same path here."""

    def __init__(self, base: Path, network: Network, container: Container) -> None:
        self.base = base
        self.network = network
        self.container = container
        self.socket = f"unix://{base}/controller.sock"
        self.address = f"{container.name}:{PORT}"
        """Where containers in its network reach it."""

    def wait_serving(self) -> None:
        """Waits until it serves; fails with its log where it has ended."""
        until(lambda: self._listens() or self._ended(), self.container)
        assert not self._ended(), self.container.logs().decode()

    def kill(self) -> None:
        """As where the machine lacks memory."""
        self.container.kill()
        self.container.wait(timeout=SECONDS)
        (self.base / "controller.sock").unlink()

    def networks(self) -> set[str]:
        """Names of the networks that it is in."""
        self.container.reload()
        return set(self.container.attrs["NetworkSettings"]["Networks"])

    def run(self, program: str, *arguments: str, **options: Any) -> tuple[int, str]:
        """A Python program in a container of its own in the same network: exit code and output.

        `options` are docker-py's. It has the SDK, and the shared folder unless `volumes` say otherwise.
        """
        given = {
            "volumes": {str(self.base): {"bind": str(self.base)}},
            "environment": {"E2E_CONTROLLER": self.address},
            "network": self.network.name,
            "user": MINE,
            **options,
        }
        with docker_client() as engine:
            container = engine.containers.create(
                controller_image(), ["-c", program, *arguments], entrypoint=[PYTHON], **given
            )
            try:
                container.start()
                code = container.wait(timeout=SECONDS)["StatusCode"]
                return code, container.logs().decode()
            finally:
                container.remove(force=True, v=True)

    def _listens(self) -> bool:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            return connection.connect_ex(str(self.base / "controller.sock")) == 0

    def _ended(self) -> bool:
        self.container.reload()
        return str(self.container.status) == "exited"


@contextmanager
def contained(*arguments: str, port: int = PORT, **options: Any) -> Iterator[Contained]:
    """One that serves on its Unix socket and in its network; all that it has made goes with it.

    `options` are docker-py's.
    """
    name = f"e2e-contained-{os.getpid()}-{secrets.token_hex(3)}"
    base = Path(tempfile.mkdtemp(prefix="e2e-"))
    places = {str(base): {"bind": str(base)}}
    listen = [f"--listen=unix://{base}/controller.sock", f"--listen=0.0.0.0:{port}", "--insecure"]
    environment = {"E2E_STATE_DIR": str(base / "state"), "E2E_HEALTH_SOCKET": str(base / "health.sock")}
    with docker_client() as engine:
        network = engine.networks.create(name)
        try:
            places |= options.pop("volumes", {})
            given = {"volumes": places, "environment": environment, "network": name, "user": MINE, **options}
            command = [*listen, f"--folder={base}/manifests", "--delete-on-exit", *arguments]
            (base / "manifests").mkdir()
            with controller_container(name, *command, **given) as container:
                made = Contained(base, network, container)
                made.wait_serving()
                yield made
                container.start()  # where a test has ended it: it is to remove what it made
                made.wait_serving()  # until then a signal just ends it
                container.stop(timeout=int(SECONDS))
                assert container.wait(timeout=SECONDS)["StatusCode"] == 0, container.logs().decode()
        finally:
            network.remove()
            shutil.rmtree(base, ignore_errors=True)


def answer(output: str) -> Any:
    """What a program has printed last, as JSON."""
    return json.loads(output.splitlines()[-1])


def _given(controller: Contained) -> dict[str, str]:
    return {FOLDER: str(controller.base), BUILT: controller_image()}


def run_on_host(arguments: Sequence[str]) -> int:
    """The scenarios on this machine; the exit code of pytest."""
    with contained("--policy=permissive") as controller:
        variables = {**os.environ, CONTAINED: controller.socket, **_given(controller)}
        temporary = f"--basetemp={controller.base}/tmp"  # contexts are built of folders in there
        command = [sys.executable, "-m", "pytest", temporary, *arguments]
        return subprocess.run(command, cwd=ROOT, env=variables).returncode


def run_beside(arguments: Sequence[str]) -> int:
    """The scenarios in a container that has this repository and this Python; the exit code of pytest."""
    with contained("--policy=permissive") as controller, docker_client() as engine:
        shared = [str(controller.base), str(SOCKET)]
        own = [sys.base_prefix, str(ROOT)]
        modes = {**dict.fromkeys(shared, "rw"), **dict.fromkeys(own, "ro")}
        folder = controller.base / "tmp"
        folder.mkdir()
        variables = {
            CONTAINED: controller.address,
            **_given(controller),
            "TMPDIR": str(folder),
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        container = engine.containers.run(
            TEST_IMAGE,
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder}/t", *arguments],
            name=f"{controller.container.name}-tests",
            detach=True,
            working_dir=str(ROOT),
            user=MINE,
            group_add=[SOCKET.stat().st_gid],
            network=controller.network.name,
            environment=variables,
            volumes={path: {"bind": path, "mode": mode} for path, mode in modes.items()},
        )
        try:
            for line in container.logs(stream=True, follow=True):
                sys.stdout.write(line.decode(errors="replace"))
                sys.stdout.flush()
            return int(container.wait(timeout=SECONDS)["StatusCode"])
        finally:
            container.remove(force=True, v=True)


if __name__ == "__main__":
    how, *rest = sys.argv[1:]
    sys.exit({"host": run_on_host, "beside": run_beside}[how](rest))
