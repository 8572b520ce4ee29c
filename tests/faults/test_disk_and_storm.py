"""A full disk; a file that never rests; a folder that is swapped; many manifests at once."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from e2e_api.errors import E2EError, from_rpc_error
from e2e_api.v1 import manifest_service_pb2, manifest_service_pb2_grpc
from tests.conftest import is_gone

from .engine import (
    LABEL,
    PATIENCE,
    TIMEOUT,
    Controller,
    Engine,
    mount_tmpfs,
    running,
    soak,
    unmount_below,
    until,
    workload,
)

Record = Callable[[str, object], None]
MEBIBYTE = 2**20
FASTEST_REPLACEMENT = 0.1
"""Seconds below which no engine stops and removes a container, and creates and starts the next one."""

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.fixture
def small_disk(base: Path) -> Iterator[Path]:
    """A state folder on a file system of 2 MiB."""
    state = base / "state"
    state.mkdir()
    if problem := mount_tmpfs(state, "size=2m"):
        pytest.skip(f"cannot mount a tmpfs: {problem}")
    try:
        yield state
    finally:
        unmount_below(state)


def fill(path: Path) -> None:
    """Writes until there is no space."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def apply(controller: Controller, *documents: dict[str, object]) -> None:
    request = manifest_service_pb2.ApplyRequest(documents="\n---\n".join(map(json.dumps, documents)))
    with grpc.insecure_channel(controller.address) as channel:
        stub = manifest_service_pb2_grpc.ManifestServiceStub(channel)
        try:
            stub.Apply(request, timeout=30)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None


def test_a_full_disk(small_disk: Path, base: Path, engine: Engine) -> None:
    controller = Controller(base)
    controller.start()
    owner, environment = controller.identity, controller.environment
    try:
        apply(controller, workload("web", environment))
        until(lambda: controller.is_true("Ready", 1), "it runs", controller.log)
        fill(small_disk / "full")
        with pytest.raises(E2EError, match=r"cannot write .*No space left on device") as failed:
            apply(controller, workload("web", environment, env={"A": "x" * 50_000}))
        assert failed.value.reason == "StateFolder"
        files = [path for path in (small_disk / "manifests").rglob("*") if path.is_file()]
        assert [path.name for path in files] == ["workload.web.json"]
        assert "env" not in json.loads(files[0].read_text())["spec"]
        assert controller.is_true("Ready", 1)
        (small_disk / "full").unlink()
        apply(controller, workload("web", environment, env={"A": "2"}))
        until(
            lambda: controller.is_true("Ready", 1) and running(engine, owner) == 1,
            "it goes on",
            controller.log,
        )
        apply(controller, workload("other", environment))
        until(lambda: controller.is_true("Ready", 2), "both run", controller.log)
    finally:
        controller.stop()
        engine.remove(owner)


def test_a_file_that_is_written_all_the_time(
    controller: Controller, engine: Engine, record_property: Record
) -> None:
    owner, environment, seconds = controller.identity, controller.environment, soak("STORM_SECONDS", 2)
    controller.write("web.json", workload("web", environment))
    until(lambda: controller.is_true("Ready", 1), "it runs", controller.log)
    memory = controller.memory
    # From now on: of what has been, the engine tells only the last 256 events, and others have theirs.
    filters = {"label": f"{LABEL}={owner}", "type": "container", "event": "create"}
    events = engine.client.api.events(filters=filters, decode=True)
    number, stormed, most, began = 0, 0.0, 0.0, time.monotonic()
    while stormed < seconds or (number <= 3 * most and stormed < 30):  # a busy machine writes slowly
        number += 1
        controller.write("web.json", workload("web", environment, env={"NUMBER": str(number)}))
        time.sleep(0.001)
        stormed = time.monotonic() - began
        most = stormed / FASTEST_REPLACEMENT + 2

    def is_last() -> bool:
        there = list(engine.containers(owner))
        if there != [f"{environment}.web"] or not controller.is_true("Ready", 1):
            return False
        return engine.has_variable(there[0], f"NUMBER={number}")

    until(is_last, "the last state", controller.log)
    last = engine.containers(owner)[f"{environment}.web"]["Id"]
    with contextlib.closing(events):
        earlier = itertools.takewhile(lambda event: event["Actor"]["ID"] != last, events)
        creates = 1 + sum(1 for _ in earlier)
    grown = (controller.memory - memory) / MEBIBYTE
    record_property(
        "faults", f"{number} writes of a file in {seconds}s: {creates} creates, {grown:.0f} MiB more"
    )
    # One after another while it storms, and then the last; if each write counted, there were many more.
    assert creates <= most
    assert number > 3 * creates
    assert grown < 100


def test_a_folder_that_is_swapped(
    controller: Controller, engine: Engine, base: Path, record_property: Record
) -> None:
    """As Kubernetes publishes a ConfigMap: a link to another folder, replaced while all converges."""
    owner, environment = controller.identity, controller.environment
    for number in range(3):
        (base / f"v{number}").mkdir()
        for name in ("a", "b", f"only-{number}"):
            document = workload(name, environment, env={"VERSION": str(number)})
            (base / f"v{number}" / f"{name}.json").write_text(json.dumps(document))
    swaps = soak("SWAPS", 9)
    for number in range(swaps):
        (base / "next").symlink_to(base / f"v{number % 3}")
        (base / "next").replace(controller.folder / "current")
        time.sleep(0.15)
    last = (swaps - 1) % 3
    wanted = sorted(f"{environment}.{name}" for name in ("a", "b", f"only-{last}"))

    def is_last() -> bool:
        there = sorted(engine.containers(owner)) == wanted and controller.is_true("Ready", 3)
        return there and all(engine.has_variable(name, f"VERSION={last}") for name in wanted)

    until(is_last, "the last folder's", controller.log)
    record_property("faults", f"{swaps} swaps of a folder: the last one's 3 workloads run")


@pytest.mark.skipif(not soak("CONTAINERS", 0), reason="100 containers at once are for `make soak`")
def test_many_containers(controller: Controller, engine: Engine, record_property: Record) -> None:
    number, owner = soak("CONTAINERS", 0), controller.identity
    controller.write("all.json", *(workload(f"w{n}", controller.environment) for n in range(number)))
    until(lambda: controller.is_true("Ready", number), f"{number} ready", controller.log)
    assert running(engine, owner) == number
    record_property("faults", f"{number} containers at once: all ready")


def test_killed_test_process_and_controller(base: Path, engine: Engine) -> None:
    """Nobody is left to clean up; the next start of the same environment does."""
    name, state = base.name.replace("_", "x").lower(), base / "s"
    variables = {**os.environ, "E2E_STATE_DIR": str(state)}
    variables.pop("E2E_CONTROLLER", None)
    text = (
        "import sys, time, e2e\n"
        f"with e2e.Environment({name!r}) as env:\n"
        "    box = env.workload('box', image='busybox:1.36', command=['sleep', '600'])\n"
        "    box.start_and_wait_ready()\n"
        "    print(len(env.statuses()), flush=True)\n"
        "    time.sleep(float(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", text]
    first = subprocess.Popen([*command, "600"], env=variables, stdout=subprocess.PIPE, text=True)
    owner = ""
    try:
        with first:
            assert first.stdout is not None
            assert first.stdout.readline() == "1\n"
            owner = (state / "controller-id").read_text().strip()
            embedded = int((state / "embedded.pid").read_text())
            os.kill(embedded, signal.SIGSTOP)  # or it might notice the end of its client before its own
            first.kill()
            os.kill(embedded, signal.SIGKILL)
        before = {found["Id"] for found in engine.containers(owner).values()}
        assert len(before) == 1
        done = subprocess.run(
            [*command, "0"], env=variables, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.stdout == "1\n", done.stderr
        assert not engine.left(owner, (state / "controller.log").read_text(errors="replace"))
    finally:
        stop_embedded(state)
        engine.remove(owner or "none")


def stop_embedded(state: Path) -> None:
    try:
        pid = int((state / "embedded.pid").read_text())
        if os.fsencode(state) in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            until(lambda: is_gone(pid), "the embedded controller ends", lambda: "")
    except (OSError, ValueError):
        return
