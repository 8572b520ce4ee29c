"""From a manifest dropped into a watched folder to the first engine call about it.

The calls are seen by a proxy before the engine (see `engine_proxy`). The environment is there before. A file
that was written and closed may be followed by another write, so the controller waits a moment; one that was
renamed into place is complete.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench, engine_socket
from benchmarks.contenders import PORT, server_command
from benchmarks.controller_process import ControllerProcess
from benchmarks.engine_proxy import EngineProxy, Request
from benchmarks.report import Findings, Line
from benchmarks.waiting import rest
from e2e.statistics import percentile
from e2e_api.v1 import object_pb2

_PAUSE = 0.2


def run(bench: Bench) -> Findings:
    """Lines for both ways to write a file."""
    findings, socket = Findings(), engine_socket()
    if socket is None:
        findings.note = "left out: the engine is not on a Unix socket, so no proxy can stand before it"
        return findings
    state, folder = bench.state_folder("file"), bench.folder / "manifests-file"
    (folder / bench.run).mkdir(parents=True)
    proxy = EngineProxy(socket, state / "engine.sock")
    controller = ControllerProcess(state, "--folder", str(folder), variables={"DOCKER_HOST": proxy.url})
    with proxy, controller, e2e.Client.connect(controller.address) as client:
        drop = Drops(bench, proxy, client, folder / bench.run)
        drop.begin()
        trials = max(2, bench.options.trials // 4)
        for name, write in (("renamed", _rename), ("written", _write)):
            bench.say(f"file {name}, {trials} trials")
            looks, creations = zip(*(drop.trial(write) for _ in range(trials)), strict=True)
            findings.keep(f"{name}_to_first_call_ms", looks)
            findings.keep(f"{name}_to_create_call_ms", creations)
        drop.end()
    _judge(findings)
    return findings


def _judge(findings: Findings) -> None:
    for name, words in (("renamed", "file renamed into place"), ("written", "file written and closed")):
        looks = findings.samples[f"{name}_to_first_call_ms"]
        creations = findings.samples[f"{name}_to_create_call_ms"]
        findings.add(
            Line(
                what=f"{words}, to first engine call, p50",
                value=percentile(looks, 50),
                unit="ms",
                count=len(looks),
                spread=(min(looks), max(looks)),
                budget=budgets.FILE_MEDIAN,
            ),
            Line(
                what=f"{words}, to create call, p50",
                value=percentile(creations, 50),
                unit="ms",
                count=len(creations),
                spread=(min(creations), max(creations)),
            ),
        )


def _rename(path: Path, text: str) -> float:
    new = path.with_name(f".{path.name}.tmp")
    new.write_text(text)
    instant = time.perf_counter()
    new.replace(path)
    return instant


def _write(path: Path, text: str) -> float:
    instant = time.perf_counter()
    path.write_text(text)
    return instant


class Drops:
    """Drops manifests, one at a time."""

    def __init__(self, bench: Bench, proxy: EngineProxy, client: e2e.Client, folder: Path) -> None:
        self._image = bench.options.image
        self._environment = bench.run
        self._proxy = proxy
        self._client = client
        self._folder = folder
        self._number = 0

    def begin(self) -> None:
        """Makes the environment, whose network is not to be timed; the first trial is not, either."""
        _rename(self._folder / "environment.yaml", self._document("Environment", self._environment, {}))
        self._client.wait([self._key("Environment", self._environment)], e2e.Goal.READY, 60)
        self.trial(_rename)

    def trial(self, write: Callable[[Path, str], float]) -> tuple[float, float]:
        """Ms to the first call about the workload, and to the one that creates it; it is gone afterwards."""
        self._number += 1
        name = f"dropped-{self._number}"
        container = f"{self._environment}.{name}"
        path = self._folder / f"{name}.yaml"
        spec = {"image": self._image, "command": server_command(), "ports": {"http": PORT}}
        document = self._document("Workload", name, spec)
        rest(_PAUSE)
        self._proxy.clear()
        instant = write(path, document)
        look = self._proxy.first(lambda request: container in request.path)
        creation = self._proxy.first(lambda request: _creates(request, container))
        path.unlink()
        self._wait_until_gone("Workload", name)
        return 1000 * (look.instant - instant), 1000 * (creation.instant - instant)

    def end(self) -> None:
        """Removes the environment."""
        (self._folder / "environment.yaml").unlink()
        self._wait_until_gone("Environment", self._environment)

    def _wait_until_gone(self, kind: str, name: str) -> None:
        try:
            self._client.wait([self._key(kind, name)], e2e.Goal.DELETED, 60)
        except e2e.NotFound:
            return

    def _key(self, kind: str, name: str) -> object_pb2.ObjectKey:
        return object_pb2.ObjectKey(environment=self._environment, kind=kind, name=name)

    def _document(self, kind: str, name: str, spec: object) -> str:
        metadata = {"name": name}
        return json.dumps({"apiVersion": "e2e/v1", "kind": kind, "metadata": metadata, "spec": spec})


def _creates(request: Request, container: str) -> bool:
    return request.method == "POST" and "/containers/create?" in request.path and container in request.path
