"""Leases on the real engine: clients that hang, share, come back; controllers that are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest
from controllers import Controller
from test_sdk_embedded import SMALL, names_of, until

import e2e

HOLDS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import e2e
from small import web_server
with e2e.Environment(sys.argv[2], controller=sys.argv[3]) as env:
    env.start_and_wait_ready(web_server(env, "web"))
    print("ready", flush=True)
    sys.stdin.read()
"""
SHARES = HOLDS.replace("controller=sys.argv[3]", "controller=sys.argv[3], shared=True")
HOLDS_ASYNC = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import e2e
from small import web_server
async def main():
    async with e2e.AsyncEnvironment(sys.argv[2], controller=sys.argv[3]) as env:
        await env.start_and_wait_ready(web_server(env, "web"))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""
JOINS = """
import sys, e2e
from e2e import Client
with Client.connect(sys.argv[2]) as client:
    held = client.hold(sys.argv[1], fresh=False, keep=False, timeout=60)
    print("held", flush=True)
    sys.stdin.read()
"""


class Client:
    """A test process that uses a controller; ends it whatever happens."""

    def __init__(self, script: str, *arguments: str) -> None:
        command = [sys.executable, "-c", script, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def leave(self) -> int:
        """Ends its block as a test does; gives the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def id_of(container: str) -> str:
    engine = docker.from_env()
    try:
        return str(engine.containers.get(container).id)
    finally:
        engine.close()


def metrics_of(controller: Controller) -> list[str]:
    """What it tells of itself, a line each."""
    with e2e.Client.connect(controller.address) as client:
        return client.controller_metrics().splitlines()


def add(clients: ExitStack, script: str, *arguments: str) -> Client:
    client = Client(script, *arguments)
    clients.callback(client.end)
    return client


@pytest.mark.parametrize("options", [["--keepalive=12s", "--lease-grace=200ms"]])
def test_a_client_that_hangs_loses_its_lease(controller: Controller, clients: ExitStack) -> None:
    name = f"hangs-{os.getpid()}"
    quiet = add(clients, HOLDS, SMALL, f"{name}-quiet", controller.address)
    client = add(clients, HOLDS, SMALL, name, controller.address)
    assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
    client.send(signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: names_of(name) == [])
    assert time.monotonic() - stopped > 1  # it had its time
    # One that only has nothing to say lives.
    assert quiet.process.poll() is None
    assert names_of(f"{name}-quiet") == [f"{name}-quiet.web", f"e2e-{name}-quiet"]
    quiet.send(signal.SIGKILL)
    until(lambda: names_of(f"{name}-quiet") == [])


@pytest.mark.parametrize("options", [["--lease-grace=200ms"]])
def test_the_last_of_several_holders_takes_it_with_it(controller: Controller, clients: ExitStack) -> None:
    name = f"shared-{os.getpid()}"
    workers = [add(clients, SHARES, SMALL, name, controller.address) for _ in range(3)]
    container = id_of(f"{name}.web")
    workers[0].send(signal.SIGKILL)
    assert workers[1].leave() == 0
    time.sleep(1)  # longer than the grace time: nothing may happen in it
    assert id_of(f"{name}.web") == container
    assert workers[2].leave() == 0
    until(lambda: names_of(name) == [])


@pytest.mark.parametrize("options", [["--lease-grace=3s", "--recovery-grace=60s"]])
def test_who_comes_back_to_a_killed_controller_keeps_the_environment(
    controller: Controller, clients: ExitStack
) -> None:
    name = f"returns-{os.getpid()}"
    first = add(clients, HOLDS, SMALL, name, controller.address)
    (controller.state / "leases" / "torn").write_text("")  # of a write that the power's loss cut off
    controller.kill()
    first.send(signal.SIGKILL)
    controller.start()
    second = add(clients, JOINS, name, controller.address)
    time.sleep(4)  # longer than the grace time of what nobody holds: nothing may happen in it
    assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
    second.send(signal.SIGKILL)
    until(lambda: names_of(name) == [])
    until(lambda: list((controller.state / "leases").iterdir()) == [])


@pytest.mark.parametrize("options", [["--lease-grace=1s", "--recovery-grace=15s"]])
@pytest.mark.parametrize("script", [HOLDS, HOLDS_ASYNC], ids=["sync", "async"])
def test_a_block_outlives_a_restart_of_its_controller(
    controller: Controller, clients: ExitStack, script: str
) -> None:
    name = f"outlives-{os.getpid()}"
    client = add(clients, script, SMALL, name, controller.address)
    container = id_of(f"{name}.web")
    for _ in range(2):
        controller.kill()
        controller.start()
        until(lambda: "e2e_leases 1.0" in metrics_of(controller))
        assert id_of(f"{name}.web") == container
    time.sleep(16.5)  # longer than the grace time: nothing may happen in it
    assert id_of(f"{name}.web") == container
    assert client.leave() == 0
    assert names_of(name) == []


@pytest.mark.parametrize("options", [["--lease-grace=200ms", "--recovery-grace=200ms"]])
def test_who_does_not_come_back_loses_it(controller: Controller, clients: ExitStack) -> None:
    name = f"lost-{os.getpid()}"
    client = add(clients, HOLDS, SMALL, name, controller.address)
    controller.kill()
    client.send(signal.SIGKILL)
    assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
    controller.start()
    until(lambda: names_of(name) == [])
    until(lambda: not (controller.state / "environments" / name).exists())
    assert not (controller.state / "manifests" / name).exists()


def test_two_controllers_on_one_state_folder(controller: Controller, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "e2e_controller", f"--state-dir={controller.state}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 4
    assert f"in use by process {controller.pid}" in done.stderr
    assert "give this one its own --state-dir" in done.stderr
