"""What the demo stands on: its own folders, a controller that watches one of them, a look at the engine."""

import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
from demo_container import ContainedController
from docker.errors import APIError, DockerException
from requests import RequestException

from e2e import E2EError
from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.docker.endpoint import find_endpoint

LABEL = "io.e2e.controller"
IMAGE_VARIABLE = "E2E_DEMO_IMAGE"
"""Names an image of the controller, to run it in a container."""
START_SECONDS = 30.0
STOP_SECONDS = 60.0


class Stage:
    """Folders of this run's own, and a controller that watches one of them."""

    def __init__(self) -> None:
        self.environment = f"thanos-{secrets.token_hex(3)}"
        self.root = Path(tempfile.mkdtemp(prefix="e2e-demo-"))
        self.folder = self.root / "manifests"
        self.state = self.root / "state"
        self.address = f"unix://{self.root}/controller.sock"
        self._log = self.root / "controller.log"
        self.served = False
        self.folder.mkdir()
        arguments = ["--delete-on-exit", "--folder", str(self.folder), "--state-dir", str(self.state)]
        arguments += ["--listen", self.address]
        self.process: subprocess.Popen[bytes] | ContainedController
        if image := os.environ.get(IMAGE_VARIABLE):
            self.process = ContainedController(image, self.root, arguments)
        else:
            self.process = self._start(arguments)

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        receive, ready = os.pipe()
        self._ready = os.fdopen(receive, "rb")
        command = [sys.executable, "-P", "-m", "e2e_controller", *arguments, "--ready-fd", str(ready)]
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                pass_fds=(ready,),
                start_new_session=True,  # a Ctrl+C here is not the controller's
            )
        os.close(ready)
        return process

    def wait_serving(self) -> None:
        """Waits until the controller serves. Raises E2EError with what it said."""
        if isinstance(self.process, ContainedController):
            told = self.process.serves(self.address.removeprefix("unix://"), START_SECONDS)
        else:
            told = bool(select.select([self._ready], [], [], START_SECONDS)[0] and self._ready.readline())
        if not told:
            raise E2EError(self.log_end() or f"the controller did not serve within {START_SECONDS:g} s")
        self.served = True

    def log_end(self) -> str:
        """The last lines of the controller's log."""
        if isinstance(self.process, ContainedController):
            text = self.process.log()
        else:
            text = self._log.read_text(errors="replace")
        return "\n".join(text.splitlines()[-20:])

    def drop(self, name: str, text: str) -> None:
        """Puts a manifest into the watched folder, or a new version of it; nobody ever sees a half."""
        path = self._manifest(name)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text)
        temporary.replace(path)

    def stop(self, name: str) -> None:
        """Changes `state: Running` to `state: Stopped` in a manifest, as one would in an editor."""
        self.drop(name, self._manifest(name).read_text().replace("state: Running", "state: Stopped"))

    def take_manifests_away(self) -> None:
        """Removes the environment's folder with all manifests."""
        shutil.rmtree(self.folder / self.environment, ignore_errors=True)

    def holds(self) -> dict[str, list[str]]:
        """What there is of this run: asked of the engine itself, past the controller, and on disk."""
        folders = sorted(str(path) for path in (self.state / "environments").glob("*"))
        return {**self._engine_holds(), "folders": folders}

    def _engine_holds(self) -> dict[str, list[str]]:
        with _engine() as engine:
            ours = self._ours()
            return {
                "containers": sorted(
                    str(it.name) for it in engine.containers.list(all=True, filters=ours, ignore_removed=True)
                ),
                "networks": sorted(str(it.name) for it in engine.networks.list(filters=ours)),
                "volumes": sorted(str(it.name) for it in engine.volumes.list(filters=ours)),
            }

    def clear(self) -> list[str]:
        """Removes all that there is of this run, in whatever state it is; gives what could not be."""
        self.take_manifests_away()
        self.process.terminate()  # then it deletes everything, as it was started with --delete-on-exit
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if not isinstance(self.process, ContainedController):
            self._ready.close()
        left = self._remove_rest() if self.served else []
        shutil.rmtree(self.root, ignore_errors=True)
        return left + ([f"folder {self.root}"] if self.root.exists() else [])

    def _remove_rest(self) -> list[str]:
        """What a controller that died left on the engine."""
        ours = self._ours()
        try:
            with _engine() as engine:
                for container in engine.containers.list(all=True, filters=ours, ignore_removed=True):
                    with suppress(APIError):  # somebody else may be removing it
                        container.remove(v=True, force=True)
                for network in engine.networks.list(filters=ours):
                    with suppress(APIError):
                        network.remove()
                for volume in engine.volumes.list(filters=ours):
                    with suppress(APIError):
                        volume.remove()
            return [f"{kind}: {', '.join(names)}" for kind, names in self._engine_holds().items() if names]
        except E2EError as error:
            return [f"what is on the engine: {error}"]

    def _manifest(self, name: str) -> Path:
        return self.folder / self.environment / f"{name}.yaml"  # the folder's name is the environment's

    def _ours(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"{LABEL}={(self.state / 'controller-id').read_text().strip()}"}


@contextmanager
def _engine() -> Iterator[docker.DockerClient]:
    """A client of the engine. What goes wrong with it is an E2EError."""
    try:
        endpoint = find_endpoint(os.environ.get("E2E_ENGINE"), os.environ)
        client = docker.DockerClient(base_url=endpoint.url, tls=endpoint.docker_tls(), timeout=30)
        with closing(client):
            yield client
    except (DockerException, DriverError, RequestException) as error:
        raise E2EError(f"the engine does not answer as it should: {error}") from error
