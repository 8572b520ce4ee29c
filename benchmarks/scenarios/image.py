"""The controller's image: how large it is, and how long it takes from `docker run` until it serves.

The floor is a container of the same image whose program ends at once. Both begin with the engine's call that
makes the container.
"""

import time
from pathlib import Path
from typing import Any

import docker.errors

from benchmarks.bench import LABEL, WAIT_SECONDS, Bench, engine_socket
from benchmarks.report import Findings, Line
from e2e.statistics import median

IMAGE = "e2e-controller:dev"
BASE_LABEL = "org.opencontainers.image.base.name"
SERVING = b"serving gRPC"
STARTS = 5


def run(bench: Bench) -> Findings:
    """Lines for sizes and starts; none where this machine has no such image, or the engine no socket here."""
    findings = Findings()
    socket = engine_socket()
    image = _inspected(bench, IMAGE)
    if image is None or socket is None:
        bench.say("no image of the controller, or no socket of the engine: left out")
        return findings
    bench.say("the controller's image")
    findings.add(*_sizes(bench, image))
    floors, starts = [], []
    for number in range(2 if bench.options.quick else STARTS):
        floors.append(_seconds(bench, f"floor-{number}", entrypoint=["true"]))
        starts.append(_seconds(bench, f"start-{number}", socket=socket))
    findings.keep("floor_s", floors)
    findings.keep("serving_s", starts)
    spread = (min(starts), max(starts))
    findings.add(
        Line("docker run to serving", median(starts), "s", len(starts), spread, floor=median(floors))
    )
    return findings


def _inspected(bench: Bench, name: str) -> dict[str, Any] | None:
    engine: Any = bench.engine  # this call of it has no types
    try:
        return dict(engine.inspect_image(name))
    except docker.errors.DockerException:
        return None


def _sizes(bench: Bench, image: dict[str, Any]) -> list[Line]:
    lines = [Line("the controller's image", image["Size"] / 1e6, "MB")]
    base = (image["Config"]["Labels"] or {}).get(BASE_LABEL, "")
    found = _inspected(bench, base)
    if found is None:
        return lines  # it was removed since
    own = image["Size"] - found["Size"]
    return [*lines, Line("of it beyond its base", own / 1e6, "MB", note=base)]


def _seconds(
    bench: Bench, name: str, *, entrypoint: list[str] | None = None, socket: Path | None = None
) -> float:
    """Until it serves; without a socket, until it has ended."""
    mounts = [f"{socket}:/var/run/docker.sock"] if socket else []
    groups = [str(socket.stat().st_gid)] if socket else []
    host = bench.engine.create_host_config(binds=mounts, group_add=groups, read_only=True, cap_drop=["ALL"])
    began = time.perf_counter()
    container = bench.engine.create_container(
        IMAGE, name=f"{bench.run}-{name}", entrypoint=entrypoint, host_config=host, labels={LABEL: bench.run}
    )["Id"]
    try:
        bench.engine.start(container)
        if socket:
            _await_serving(bench, container)
        else:
            bench.engine.wait(container, timeout=int(WAIT_SECONDS))
        return time.perf_counter() - began
    finally:
        bench.engine.remove_container(container, force=True, v=True)


def _await_serving(bench: Bench, container: str) -> None:
    seen = b""
    for chunk in bench.engine.logs(container, stream=True, follow=True):
        seen += chunk
        if SERVING in seen:
            return
    raise RuntimeError(f"it ended before it served: {seen.decode(errors='replace')}")
