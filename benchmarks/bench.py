"""One run: what all scenarios share, and its clean-up."""

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import docker.errors
import requests
from docker import APIClient

import e2e
from benchmarks.options import Options
from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.docker.endpoint import Endpoint, find_endpoint

LABEL = "io.e2e.benchmark"
"""On all that the benchmark itself makes; its value is the run."""
_CONTROLLER_LABEL = "io.e2e.controller"
_LONGEST_STOP = 15.0
_CALL_SECONDS = 60
WAIT_SECONDS = 120.0


class Bench:
    """A run with names, a folder and an embedded controller of its own, so that it meets nobody else's.

    Leaving the block ends the controllers, and removes what is left of this run in the engine and on disk.
    """

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self.run = f"bench-{secrets.token_hex(3)}"
        self.engine = connect(options.threads)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"e2e-{self.run}-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._stack.callback(self._remove_leftovers)
        self._stack.callback(self._end_embedded_controllers)
        # Only what this run sets may count for its controllers.
        for name in [name for name in os.environ if name.startswith("E2E_")]:
            del os.environ[name]
        os.environ["E2E_STATE_DIR"] = str(self.state_folder("embedded"))
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl+C would leave things behind
        self._stack.close()
        self.engine.close()

    def state_folder(self, name: str) -> Path:
        """A state folder for a controller, made and known to the clean-up."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        return path

    @contextmanager
    def environment(self, name: str, controller: str | None = None) -> Iterator[e2e.Environment]:
        """A held environment whose network is there: what is timed in it is not about making it."""
        environment = e2e.Environment(f"{self.run}-{name}", controller=controller, timeout=WAIT_SECONDS)
        try:
            environment.start()
            until(lambda: (found := environment.summary()) is not None and bool(found.network))
            yield environment
        finally:
            try:
                environment.close()
            except e2e.E2EError as error:  # what was measured in it counts all the same
                self.say(f"environment {environment.name} was not removed: {error}")

    def embedded_pid(self) -> int:
        """The embedded controller's, once there is one."""
        return int((self.folder / "embedded" / "embedded.pid").read_text())

    def _end_embedded_controllers(self) -> None:
        for file in self.folder.glob("*/embedded.pid"):
            end_embedded(file)

    def _remove_leftovers(self) -> None:
        """There are none, where all went well."""
        labels = [f"{LABEL}={self.run}"]
        for file in self.folder.glob("*/controller-id"):
            labels.append(f"{_CONTROLLER_LABEL}={file.read_text().strip()}")
        for label in labels:
            for thing in remove_labelled(self.engine, label):
                self.say(f"left behind: {thing}")


def connect(connections: int) -> APIClient:
    """The engine that the controllers find, too. Raises `docker.errors.DockerException`."""
    endpoint = _endpoint()
    return APIClient(
        endpoint.url,
        version="auto",
        timeout=_CALL_SECONDS,
        tls=endpoint.docker_tls(),
        max_pool_size=connections,
    )


def engine_socket() -> Path | None:
    """The engine's socket; None where it is on TCP."""
    path = _endpoint().socket_path
    return Path(path) if path else None


def engine_url() -> str:
    """For DOCKER_HOST of other programs."""
    return _endpoint().url


def _endpoint() -> Endpoint:
    try:
        return find_endpoint(None, os.environ)
    except DriverError as error:
        raise docker.errors.DockerException(str(error)) from error


def remove_labelled(engine: APIClient, label: str) -> list[str]:
    """Removes containers, networks and volumes with exactly that label; gives what could not be, and why."""
    ours = {"label": label}
    failures: list[str] = []

    def attempt(what: str, call: Callable[[], object]) -> Any:
        try:
            return call()
        except docker.errors.NotFound:
            return None
        except (docker.errors.DockerException, requests.RequestException) as error:
            failures.append(f"{what}: {error}")
            return None

    for item in attempt(f"containers of {label}", lambda: engine.containers(all=True, filters=ours)) or []:
        container = str(item["Id"])
        attempt(f"container {container}", partial(engine.remove_container, container, v=True, force=True))
    for item in attempt(f"networks of {label}", lambda: engine.networks(filters=ours)) or []:
        attempt(f"network {item['Name']}", partial(engine.remove_network, item["Id"]))
    volumes = attempt(f"volumes of {label}", lambda: engine.volumes(filters=ours)) or {}
    for item in volumes.get("Volumes") or []:
        attempt(f"volume {item['Name']}", partial(engine.remove_volume, item["Name"]))
    return failures


def end_embedded(pid_file: Path) -> None:
    """Ends the embedded controller that wrote this file, and waits until it is gone."""
    pid = int(pid_file.read_text())
    with suppress(ProcessLookupError, FileNotFoundError):
        # The number may be another process' by now.
        if str(pid_file.parent).encode() not in Path("/proc", str(pid), "cmdline").read_bytes():
            return
        os.kill(pid, signal.SIGTERM)
        with suppress(TimeoutError):
            until(lambda: not _is_alive(pid), seconds=_LONGEST_STOP)
            return
        os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(true: Callable[[], bool], seconds: float = WAIT_SECONDS, pause: float = 0.01) -> None:
    """Returns when it is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(pause)
