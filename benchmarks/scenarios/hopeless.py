"""From what makes success impossible to the moment at which a waiter is told, for all but a dead container.

Somebody waits for a workload to be ready, and one of these comes instead: its manifest is rejected, or does
not even parse; it is deleted, or its whole environment; a job that it depends on fails for good; its image is
not there. (The death of its container is a scenario of its own.) The clock runs from the call or the write
that does it; of the job, which nobody ends, from the end of its container. The floor of the job is what a
program needs that asks the engine itself, as in `died`: its event, one inspect, the log. A wait that ends for
any other reason breaks the scenario.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import docker.errors
from docker import APIClient

import e2e
from benchmarks import budgets
from benchmarks.bench import WAIT_SECONDS, Bench
from benchmarks.contenders import PORT, server_command, server_options
from benchmarks.controller_process import ControllerProcess
from benchmarks.report import Findings, Line
from benchmarks.scenarios.died import Deaths
from benchmarks.waiting import Waiting, rest
from e2e.statistics import median
from e2e_api.v1 import object_pb2

_PAUSE = 0.2
_NEVER = "/never-there"
_MISSING_IMAGE = "docker.io/library/e2e-benchmark-has-no-such-image:1"
_JOB = ["sh", "-c", "sleep 1; exit 1"]
"""Long enough for the waiter, and whoever looks at the engine, to be there before its end."""

WORDS = {
    "rejected": "manifest rejected to waiter told",
    "unparsable": "file that does not parse written to waiter told",
    "deleted": "workload deleted to waiter told",
    "environment": "environment deleted to waiter told",
    "dependency": "dependency's last attempt ended to waiter told",
    "image": "apply without its image to waiter told",
}
"""What each line is about, by the name of its samples."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Ms until the waiter was told; and what the engine alone needs, where it has to do with it."""

    told: float
    floor: float | None = None


def run(bench: Bench) -> Findings:
    """A line for each reason."""
    findings, trials = Findings(), max(2, bench.options.trials // 5)
    state, folder = bench.state_folder("hopeless"), bench.folder / "manifests-hopeless"
    files, applied = f"{bench.run}-files", f"{bench.run}-applied"
    (folder / files).mkdir(parents=True)
    with (
        ControllerProcess(state, "--folder", str(folder)) as controller,
        e2e.Client.connect(controller.address) as client,
    ):
        written = _Written(client, folder / files, bench.options.image)
        ways: dict[str, Callable[[], Trial]] = {"rejected": written.reject, "unparsable": written.garble}
        _measure(bench, findings, ways, trials)
        written.end()
        ways = {"environment": partial(_delete_environment, client, applied, bench.options.image)}
        _measure(bench, findings, ways, trials)
        with bench.environment("hopeless", controller.address) as environment, Deaths() as deaths:
            asked = _Asked(client, environment, bench.engine, deaths, bench.options.image)
            ways = {"deleted": asked.delete, "dependency": asked.fail_dependency, "image": asked.miss_image}
            _measure(bench, findings, ways, trials)
    judge(findings)
    return findings


def _measure(bench: Bench, findings: Findings, ways: dict[str, Callable[[], Trial]], trials: int) -> None:
    for name, trial in ways.items():
        bench.say(f"{WORDS[name]}, {trials} trials")
        found = [trial() for _ in range(trials)]
        findings.keep(f"{name}_told_ms", [each.told for each in found])
        floors = [each.floor for each in found if each.floor is not None]
        if floors:
            findings.keep(f"{name}_floor_ms", floors)


def judge(findings: Findings) -> None:
    """The lines, from the samples."""
    for name, words in WORDS.items():
        told = findings.samples[f"{name}_told_ms"]
        floors = findings.samples.get(f"{name}_floor_ms")
        findings.add(
            Line(
                what=f"{words}, p50",
                value=median(told),
                unit="ms",
                count=len(told),
                spread=(min(told), max(told)),
                floor=median(floors) if floors else None,
                ratio=median(told) / median(floors) if floors else None,
                budget=budgets.HOPELESS,
            )
        )


def wait_in_vain(client: e2e.Client, key: object_pb2.ObjectKey, reason: str) -> None:
    """Waits until it is ready, and is told that it never will be; raises when that is for another reason."""
    try:
        client.wait([key], e2e.Goal.READY, WAIT_SECONDS)
    except e2e.WaitFailed as error:
        if error.reason != reason:
            raise
        return
    raise AssertionError(f"{key.name} is ready, where {reason} was expected")


def _told(client: e2e.Client, key: object_pb2.ObjectKey, reason: str, doom: Callable[[], object]) -> float:
    """Ms from the beginning of `doom` until somebody who has been waiting for a while is told."""
    waiting = Waiting(partial(wait_in_vain, client, key, reason))
    rest(_PAUSE)
    instant = time.perf_counter()
    doom()
    return 1000 * (waiting.told() - instant)


class _Written:
    """A workload that a file defines, which is written wrong and put right again; its container stays."""

    def __init__(self, client: e2e.Client, folder: Path, image: str) -> None:
        self._client = client
        self._path = folder / "web.yaml"
        self._key = object_pb2.ObjectKey(environment=folder.name, kind="Workload", name="web")
        self._right = document("web", image)
        self._wrong = document("web", image, imagePullPolicy="Sometimes")
        self._mend()

    def reject(self) -> Trial:
        """A field has a value that it cannot have."""
        return self._write(self._wrong, "Rejected")

    def garble(self) -> Trial:
        """It ends in the middle, as if somebody were still writing it."""
        return self._write(self._right[:-20], "ParseError")

    def end(self) -> None:
        """Removes the file, and what it defined."""
        self._path.unlink()
        _wait_until_gone(self._client, self._key.environment)

    def _write(self, text: str, reason: str) -> Trial:
        told = _told(self._client, self._key, reason, lambda: self._path.write_text(text))
        self._mend()
        return Trial(told)

    def _mend(self) -> None:
        self._path.write_text(self._right)
        rest(_PAUSE)
        self._client.wait([self._key], e2e.Goal.RUNNING, WAIT_SECONDS)


def _delete_environment(client: e2e.Client, name: str, image: str) -> Trial:
    """Of one that nobody holds, with all that is in it."""
    key = object_pb2.ObjectKey(environment=name, kind="Workload", name="web")
    client.apply(document("web", image), environment=name)
    client.wait([key], e2e.Goal.RUNNING, WAIT_SECONDS)
    told = _told(client, key, "Deleted", lambda: client.delete_environment(name))
    _wait_until_gone(client, name)
    return Trial(told)


class _Asked:
    """What is asked for through the SDK, each trial under another name."""

    def __init__(
        self,
        client: e2e.Client,
        environment: e2e.Environment,
        engine: APIClient,
        deaths: Deaths,
        image: str,
    ) -> None:
        self._client = client
        self._environment = environment
        self._engine = engine
        self._deaths = deaths
        self._image = image
        self._number = 0

    def delete(self) -> Trial:
        """A workload whose container runs."""
        workload = self._environment.workload(self._name(), **server_options(self._image, page=_NEVER))
        workload.start()
        workload.wait_running()
        key = self._key(workload.name)
        told = _told(self._client, key, "Deleted", lambda: self._client.delete([key]))
        self._remove(workload)
        return Trial(told)

    def fail_dependency(self) -> Trial:
        """A job that ends with 1, and is not tried again."""
        job = self._environment.job(self._name(), image=self._image, command=_JOB)
        workload = self._environment.workload(self._name(), image=self._image, depends_on=[job])
        job.start()
        workload.start()
        waiting = Waiting(partial(wait_in_vain, self._client, self._key(workload.name), "DependencyFailed"))
        self._client.wait([self._key(job.name, "Job")], e2e.Goal.RUNNING, WAIT_SECONDS)
        container = job.status().container
        assert container is not None
        asking = Waiting(partial(self._learn_the_end, container.id))
        waiting.told()
        asking.told()
        finished = self._engine.inspect_container(container.id)["State"]["FinishedAt"]
        end = datetime.fromisoformat(finished).timestamp()
        self._remove(workload, job)
        return Trial(1000 * (waiting.wall - end), 1000 * (asking.wall - end))

    def _learn_the_end(self, container: str) -> None:
        self._deaths.instant(container)
        self._engine.inspect_container(container)
        self._engine.logs(container, tail=100)

    def miss_image(self) -> Trial:
        """Nobody may pull it; the floor is the engine's answer that it is not there."""
        workload = self._environment.workload(self._name(), image=_MISSING_IMAGE, image_pull_policy="Never")
        key = self._key(workload.name)
        rest(_PAUSE)
        began = time.perf_counter()
        workload.start()
        wait_in_vain(self._client, key, "ImagePullFailed")
        told = time.perf_counter()
        with suppress(docker.errors.ImageNotFound):
            self._engine.inspect_image(_MISSING_IMAGE)  # type: ignore[no-untyped-call]
        floor = time.perf_counter() - told
        self._remove(workload)
        return Trial(1000 * (told - began), 1000 * floor)

    def _name(self) -> str:
        self._number += 1
        return f"doomed-{self._number}"

    def _key(self, name: str, kind: str = "Workload") -> object_pb2.ObjectKey:
        return object_pb2.ObjectKey(environment=self._environment.name, kind=kind, name=name)

    def _remove(self, *things: e2e.Workload | e2e.Job) -> None:
        for thing in things:
            with suppress(e2e.NotFound):
                thing.remove()


def document(name: str, image: str, **spec: object) -> str:
    """A workload that runs and never is ready."""
    fields = {
        "image": image,
        "command": server_command(),
        "ports": {"http": PORT},
        "readiness": {"http": {"port": "http", "path": _NEVER}, "startupTimeout": "10m"},
        **spec,
    }
    return json.dumps(
        {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": name}, "spec": fields}
    )


def _wait_until_gone(client: e2e.Client, environment: str) -> None:
    """Until nothing is left of an environment, its network included."""
    key = object_pb2.ObjectKey(environment=environment, kind="Environment", name=environment)
    with suppress(e2e.NotFound):
        client.wait([key], e2e.Goal.DELETED, WAIT_SECONDS)
