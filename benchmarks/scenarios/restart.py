"""A controller restarted over many manifests of which none has changed: to settled, with no engine write.

On the engine, with manifests that ask for `state: Stopped`: they are looked at like any other, and need no
container. The time is that of restarts without a proxy; one more, through one, counts the calls. Then on the
fake driver with as many running workloads, within one process: the controller's own work, imports excluded.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import e2e
from benchmarks import budgets
from benchmarks.bench import Bench, engine_socket
from benchmarks.contenders import server_command
from benchmarks.controller_process import ControllerProcess
from benchmarks.engine_proxy import EngineProxy
from benchmarks.report import Findings, Line
from e2e.statistics import median
from e2e_api.v1 import object_pb2

RESTARTS = 3
_SECONDS = 120.0


def run(bench: Bench) -> Findings:
    """Lines for times and writes, on the engine and on the fake."""
    findings = Findings()
    _on_the_engine(bench, findings)
    _on_the_fake(bench, findings)
    return findings


def write_manifests(folder: Path, image: str, count: int, state: str) -> None:
    """One file each."""
    folder.mkdir(parents=True)
    for number in range(count):
        document = {
            "apiVersion": "e2e/v1",
            "kind": "Workload",
            "metadata": {"name": f"workload-{number}"},
            "spec": {"image": image, "command": server_command(), "state": state},
        }
        (folder / f"workload-{number}.yaml").write_text(json.dumps(document))


def _on_the_engine(bench: Bench, findings: Findings) -> None:
    count, environment = bench.options.manifests, f"{bench.run}-restart"
    state, folder = bench.state_folder("restart"), bench.folder / "manifests-restart"
    write_manifests(folder / environment, bench.options.image, count, "Stopped")
    keys = [
        object_pb2.ObjectKey(environment=environment, kind="Workload", name=f"workload-{number}")
        for number in range(count)
    ]

    def settle(**variables: str) -> tuple[float, float]:
        return _settle(ControllerProcess(state, "--folder", str(folder), variables=variables), keys)

    bench.say(f"{count} manifests, first start")
    findings.details["first_start_s"] = settle()[0]
    bench.say(f"{count} unchanged manifests, {RESTARTS} restarts")
    samples = [settle() for _ in range(RESTARTS)]
    whole = findings.keep("engine_s", [seconds for seconds, _ in samples])
    findings.keep("engine_after_serving_s", [seconds for _, seconds in samples])
    findings.add(_line(f"{count} unchanged manifests, restart to settled", whole))
    socket = engine_socket()
    if socket is None:
        findings.note = "engine writes not counted: the engine is not on a Unix socket"
        return
    bench.say("the same, counting engine calls")
    with EngineProxy(socket, state / "engine.sock") as proxy:
        settle(DOCKER_HOST=proxy.url)
        requests = proxy.requests()
    writes = [f"{request.method} {request.path}" for request in requests if request.writes]
    findings.details["engine_calls"] = dict(Counter(request.method for request in requests))
    findings.details["engine_writes"] = writes[:20]
    findings.add(Line("engine writes of that restart", len(writes), "", budget=budgets.RESTART_WRITES))


def _settle(controller: ControllerProcess, keys: list[object_pb2.ObjectKey]) -> tuple[float, float]:
    """Seconds from the spawn, and from serving, until all objects are as their manifests ask."""
    began = time.perf_counter()
    with controller:
        served = time.perf_counter()
        with e2e.Client.connect(controller.address) as client:
            client.wait(keys, e2e.Goal.STOPPED, _SECONDS)
        settled = time.perf_counter()
    return settled - began, settled - served


def _on_the_fake(bench: Bench, findings: Findings) -> None:
    count, image = bench.options.manifests, bench.options.image
    state, folder = bench.folder / "fake", bench.folder / "manifests-fake"
    write_manifests(folder / "fake", image, count, "Running")
    bench.say(f"{count} running workloads on the fake driver, {RESTARTS} restarts")
    program = [sys.executable, "-m", "benchmarks.fake_restart"]
    arguments = [str(folder), str(state), image, str(RESTARTS)]
    ended = subprocess.run([*program, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    findings.details["fake"] = found
    seconds = findings.keep("fake_s", found["seconds"][1:])
    findings.add(
        _line("the same, running, fake driver, no spawn", seconds),
        Line("driver writes of those", sum(found["changes"][1:]), "", budget=budgets.RESTART_WRITES),
    )


def _line(what: str, seconds: list[float]) -> Line:
    spread = min(seconds), max(seconds)
    return Line(what, median(seconds), "s", len(seconds), spread, budget=budgets.RESTART)
