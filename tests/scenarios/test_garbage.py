"""`e2e gc` and the look for garbage at start, with real containers of controllers that were killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from controllers import Controller
from small import BUSYBOX
from test_leases import HOLDS, Client
from test_sdk_embedded import SMALL, names_of, until

MANIFESTS = """
apiVersion: e2e/v1
kind: Workload
metadata: {{name: web, environment: {environment}}}
spec:
  build: {{context: {context}}}
  command: [sh, -c, "mkdir -p {shared}/web/deep; echo x >{shared}/web/deep/file; exec sleep 1000"]
  volumes: [{{source: data, target: /data}}]
  readiness: {{exec: {{command: [test, -e, {shared}/web/deep/file]}}}}
"""


class World:
    """A controller to be killed, with an environment in which there is something of each kind."""

    def __init__(self, base: Path, environment: str) -> None:
        base.mkdir()
        (base / "context").mkdir()
        (base / "context" / "Dockerfile").write_text(f"FROM {BUSYBOX}\nENV MADE_FOR={environment}\n")
        self.environment = environment
        self.controller = Controller(base)
        self.shared = self.controller.state / "environments" / environment
        self.manifest = self.controller.folder / "web.yaml"
        fields = {"environment": environment, "context": base / "context", "shared": self.shared}
        self.manifest.write_text(MANIFESTS.format(**fields))
        wait = ("--controller", self.controller.address, "wait", "web", "--timeout", "100s")
        done = e2e(*wait, "--env", environment)
        assert done.returncode == 0, done.stderr

    @property
    def identity(self) -> str:
        return (self.controller.state / "controller-id").read_text().strip()


def e2e(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "e2e"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def gc(identity: str, *arguments: str) -> list[Any]:
    done = e2e("gc", "--controller", identity, "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def left(identity: str) -> list[str]:
    """What the engine has of a controller."""
    engine = docker.from_env()
    try:
        filters = {"label": f"io.e2e.controller={identity}"}
        return [
            *(
                str(one.name)
                for one in engine.containers.list(all=True, filters=filters, ignore_removed=True)
            ),
            *(str(one.name) for one in engine.networks.list(filters=filters)),
            *(str(one.name) for one in engine.volumes.list(filters=filters)),
            *(
                image["Id"] for image in engine.api.images(filters=filters)
            ),  # which looks at none that just goes
        ]
    finally:
        engine.close()


@pytest.fixture
def base() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:
        yield Path(directory)


@pytest.fixture
def killed(base: Path) -> Iterator[World]:
    world = World(base / "killed", f"gc-{os.getpid()}")
    identity = world.identity
    world.controller.kill()
    yield world
    e2e("gc", "--controller", identity)
    assert left(identity) == []


@pytest.fixture
def alive(base: Path) -> Iterator[World]:
    world = World(base / "alive", f"alive-{os.getpid()}")
    yield world
    world.controller.stop()
    assert left(world.identity) == []  # its image included


def test_what_a_killed_controller_left_is_listed_and_removed(killed: World, alive: World) -> None:
    name = killed.environment
    listed = gc(killed.identity, "--dry-run")
    assert {thing["state"] for thing in listed} == {"stopped"}
    assert {thing["result"] for thing in listed} == {"found"}
    assert [(thing["kind"], thing["name"].partition(":")[0]) for thing in listed] == [
        ("container", f"{name}.web"),
        ("network", f"e2e-{name}"),
        ("volume", f"e2e-{name}.data"),
        ("image", f"e2e-build/{name}.web"),
        ("folder", str(killed.shared)),
    ]
    assert len(left(killed.identity)) == 4
    removed = gc(killed.identity)
    assert [thing["result"] for thing in removed] == ["removed"] * 5
    assert left(killed.identity) == []
    assert not killed.shared.exists()
    assert killed.manifest.exists()
    assert gc(killed.identity) == []
    assert len(left(alive.identity)) == 4
    assert (alive.shared / "web" / "deep" / "file").exists()


def test_what_runs_is_refused_by_name_and_otherwise_not_listed(alive: World) -> None:
    done = e2e("gc", "--controller", alive.identity)
    assert done.returncode == 1
    assert f"controller {alive.identity} runs (state folder {alive.controller.state})" in done.stderr
    listed = json.loads(e2e("gc", "--dry-run", "-o", "json").stdout)
    assert alive.identity not in {thing["controller"] for thing in listed}


def test_a_stopped_one_that_is_started_again_adopts(killed: World) -> None:
    before = left(killed.identity)
    cut_off = {"io.e2e.controller": killed.identity, "io.e2e.kind": "Removal"}
    engine = docker.from_env()
    engine.containers.create(BUSYBOX, ["true"], labels=cut_off)
    engine.close()
    assert len(left(killed.identity)) == len(before) + 1
    time.sleep(1)  # the engine tells whole seconds, and what is as young as the process may be its own
    killed.controller.start()
    done = e2e("--controller", killed.controller.address, "wait", "web", "--env", killed.environment)
    assert done.returncode == 0, done.stderr
    until(lambda: left(killed.identity) == before)  # without the container that was to remove a folder
    killed.controller.stop()


def test_the_next_start_of_any_controller_removes_what_orphans_left(killed: World, base: Path) -> None:
    identity = killed.identity
    shutil.rmtree(killed.controller.state)
    (base / "next").mkdir()
    other = Controller(base / "next")
    try:
        until(lambda: left(identity) == [])
        assert names_of(killed.environment) == []
    finally:
        other.stop()


def test_what_a_client_held_does_not_come_back(base: Path) -> None:
    (base / "held").mkdir()
    controller, name = Controller(base / "held"), f"gc-held-{os.getpid()}"
    try:
        identity = (controller.state / "controller-id").read_text().strip()
        holder = Client(HOLDS, SMALL, name, controller.address)
        controller.kill()
        holder.send(signal.SIGKILL)
        holder.end()
        removed = gc(identity)
        assert {thing["result"] for thing in removed} == {"removed"}
        assert str(controller.state / "manifests" / name) in {thing["name"] for thing in removed}
        assert left(identity) == []
        controller.start()
        done = e2e("--controller", controller.address, "get", "--env", name, "-o", "name")
        assert (done.returncode, done.stdout) == (0, "")
    finally:
        controller.stop()
    assert left(identity) == []


def test_the_next_start_of_any_controller_removes_what_clients_had_held(killed: World, base: Path) -> None:
    """And nothing else of one that was killed: what a user's file defines is for its next start to adopt."""
    identity, name = killed.identity, f"gc-claim-{os.getpid()}"
    controller, before = killed.controller, left(identity)
    controller.start()
    holder = Client(HOLDS, SMALL, name, controller.address)
    controller.kill()
    holder.send(signal.SIGKILL)
    holder.end()
    (base / "next").mkdir()
    other = Controller(base / "next")
    try:
        until(lambda: "garbage" in other.log() or "stopped controllers hold" in other.log())
        assert names_of(name) == [f"{name}.web", f"e2e-{name}"]  # it may just be started again
    finally:
        other.stop()
    long_ago = time.time() - 3600
    os.utime(controller.state / "lock", (long_ago, long_ago))
    other.start()
    try:
        until(lambda: names_of(name) == [])
        until(lambda: not (controller.state / "leases" / name).exists())
        assert not (controller.state / "environments" / name).exists()
        assert not (controller.state / "manifests" / name).exists()
        assert left(identity) == before
    finally:
        other.stop()


def test_two_controllers_never_touch_what_the_other_has(alive: World, base: Path) -> None:
    """Not even where both want the same names: the second is told whose they are."""
    before, name = left(alive.identity), alive.environment
    (base / "second").mkdir()
    second = Controller(base / "second")
    try:
        (second.folder / "web.yaml").write_text(alive.manifest.read_text())
        (second.folder / "own.yaml").write_text(
            f"apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: own, environment: own-{os.getpid()}}}\n"
            f"spec: {{image: {BUSYBOX}, command: [sleep, '1000']}}\n"
        )
        wait = ("--controller", second.address, "wait", "--timeout", "100s")
        assert e2e(*wait, "own", "--env", f"own-{os.getpid()}").returncode == 0
        refused = e2e(*wait, "web", "--env", name)
        assert refused.returncode == 1
        assert "NameConflict" in refused.stderr
        assert alive.identity in refused.stderr
        (second.folder / "web.yaml").unlink()
        (second.folder / "own.yaml").unlink()
        until(lambda: names_of(f"own-{os.getpid()}") == [])
    finally:
        second.stop()
    assert left(alive.identity) == before
    assert left((second.state / "controller-id").read_text().strip()) == []
