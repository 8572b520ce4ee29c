"""The embedded controller: shared, gone when idle, and what it does when its users die."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small import BUSYBOX, until_stopped, web_server

import e2e
from e2e import Environment
from tests.conftest import controllers, end, is_gone
from tests.engine import docker_client

SMALL = str(Path(__file__).parent)
HOLDS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import e2e, e2e.embedded
from small import web_server
e2e.embedded.IDLE_TIMEOUT = sys.argv[3]
with e2e.Environment(sys.argv[2]) as env:
    env.start_and_wait_ready(web_server(env, "web"))
    print(env.shared_dir, flush=True)
    time.sleep(600)
"""


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def names_of(environment: str) -> list[str]:
    with docker_client() as engine:
        containers = engine.containers.list(
            all=True, filters={"name": f"^/?{environment}[.]"}, ignore_removed=True
        )
        networks = engine.networks.list(filters={"name": f"^e2e-{environment}$"})
        return [str(found.name) for found in (*containers, *networks)]


@contextmanager
def run(environment: str, idle_timeout: str = "10s") -> Iterator[subprocess.Popen[str]]:
    """A process that holds the environment until it is interrupted or killed."""
    command = [sys.executable, "-c", HOLDS, SMALL, environment, idle_timeout]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def kill_both(process: subprocess.Popen[str], controller: int) -> None:
    """At once: neither does anything about the other's end."""
    process.send_signal(signal.SIGSTOP)
    os.kill(controller, signal.SIGKILL)
    process.send_signal(signal.SIGKILL)


@pytest.fixture
def own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for an embedded controller that nobody else uses."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:
        monkeypatch.setenv("E2E_STATE_DIR", directory)
        yield Path(directory)
        for pid in controllers(Path(directory)):  # else it may write there while all is removed
            end(pid)


def test_a_killed_process_leaves_nothing() -> None:
    name = f"killed-{os.getpid()}"
    with run(name) as process:
        assert process.stdout is not None
        shared = Path(process.stdout.readline().strip())
        assert shared.is_dir()
        assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
        process.send_signal(signal.SIGKILL)
    until(lambda: names_of(name) == [])
    until(lambda: not shared.exists())


def test_an_interrupted_process_leaves_nothing() -> None:
    name = f"interrupted-{os.getpid()}"
    with run(name) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert names_of(name) == []


def test_a_name_is_held_by_one_at_a_time() -> None:
    name = f"held-{os.getpid()}"
    with Environment(name) as env:
        with (
            pytest.raises(e2e.Conflict, match=f"environment {name} is held by another client"),
            Environment(name),
        ):
            pass
        env.start_and_wait_ready(web_server(env, "web"))  # it is not disturbed


def test_a_kept_environment_is_replaced_by_the_next(own_state: Path) -> None:
    name = f"kept-{os.getpid()}"
    with Environment(name, keep=True) as env:
        web = web_server(env, "web")
        web.start_and_wait_ready()
        web.write_file("old", "")
    with Environment.attach(name) as env:
        assert env.get("web").is_running()
    with Environment(name) as env:
        assert env.statuses() == {}
        box = env.workload("web", image=BUSYBOX, command=until_stopped())
        box.start_and_wait_ready()
        assert not (box.dir / "old").exists()
    assert names_of(name) == []


def controller_process(state: Path) -> int:
    return int((state / "embedded.pid").read_text())


def test_a_killed_controller_takes_nothing_from_tests(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2E_RECOVERY_GRACE", "15s")
    monkeypatch.setenv("E2E_LEASE_GRACE", "100ms")
    name, other = f"survives-{os.getpid()}", f"beside-{os.getpid()}"
    with Environment(name) as env, run(other) as process:
        assert process.stdout is not None
        process.stdout.readline()
        web = web_server(env, "web")
        web.start_and_wait_ready()
        web.write_file("mine", "")
        endpoint, container = web.endpoint("http"), web.status().container
        killed = controller_process(own_state)
        os.kill(killed, signal.SIGKILL)
        until(lambda: controller_process(own_state) != killed)

        def leases() -> dict[str, int]:
            try:
                with e2e.Client.connect() as client:
                    return {found.environment: found.leases for found in client.list_environments()}
            except e2e.Unavailable:
                return {}

        until(lambda: leases() == {name: 1, other: 1})
        time.sleep(16)  # longer than what nobody held again would stay
        assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
        assert names_of(other) == [f"{other}.web", f"e2e-{other}"]
        web.wait_ready()
        now = web.status().container
        assert container is not None
        assert now is not None
        assert (now.id, now.started_at) == (container.id, container.started_at)
        assert web.endpoint("http") == endpoint
        assert (web.dir / "mine").exists()
        assert web.exec(["cat", "/www/index.html"]).stdout_text == "I am web\n"
        web_server(env, "second").start_and_wait_ready()
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert names_of(other) == []
    assert names_of(name) == []


def test_what_a_killed_process_and_controller_left_is_removed_by_the_next(own_state: Path) -> None:
    name = f"both-{os.getpid()}"
    with run(name) as process:
        assert process.stdout is not None
        shared = Path(process.stdout.readline().strip())
        kill_both(process, controller_process(own_state))
    assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
    (shared / "web").mkdir(exist_ok=True)
    (shared / "web" / "old").write_text("")
    with Environment(name) as env:
        assert env.statuses() == {}
        assert not (env.shared_dir / "web").exists()
        web_server(env, "web").start_and_wait_ready()
    assert names_of(name) == []


def test_one_that_was_killed_and_cannot_start_again_is_told(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise e2e.Unavailable("it cannot start")

    monkeypatch.setattr("e2e._sync.lease.revive", fail)
    monkeypatch.setattr("e2e._sync.session._RESTART_SECONDS", 0.5)
    name = f"orphan-{os.getpid()}"
    env = Environment(name).start()
    web = web_server(env, "web")
    web.start_and_wait_ready()
    killed = controller_process(own_state)
    os.kill(killed, signal.SIGKILL)
    until(lambda: is_gone(killed))
    with pytest.raises(e2e.Unavailable, match=r"does not answer(?s:.*)its log is .*controller\.log"):
        web.wait_sum_metrics(e2e.greater(0), "nothing")
    with pytest.raises(e2e.Unavailable):
        env.close()
    assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
    with Environment(name) as env:
        assert env.statuses() == {}
        web_server(env, "web").start_and_wait_ready()
    assert names_of(name) == []


def test_it_ends_when_nobody_uses_it(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from e2e import embedded

    monkeypatch.setattr(embedded, "IDLE_TIMEOUT", "4s")
    with Environment(f"idle-{os.getpid()}") as env:
        process = controller_process(own_state)
        time.sleep(5)  # longer than the idle timeout, but held
        assert not is_gone(process)
        assert env.statuses() == {}
    until(lambda: is_gone(process))
    with Environment(f"idle-{os.getpid()}"):
        assert controller_process(own_state) != process
    until(lambda: not embedded._serves(own_state / "controller.sock"))


def test_it_outlives_a_killed_process_just_long_enough_to_clean_up(own_state: Path) -> None:
    name = f"outlived-{os.getpid()}"
    with run(name, "4s") as process:
        assert process.stdout is not None
        shared = Path(process.stdout.readline().strip())
        controller = controller_process(own_state)
        process.send_signal(signal.SIGKILL)
    until(lambda: is_gone(controller))
    assert names_of(name) == []
    assert not shared.exists()
    assert not (own_state / "manifests" / name).exists()


def test_what_is_left_when_both_were_killed_goes_with_the_next_start(own_state: Path) -> None:
    name = f"both-{os.getpid()}"
    with run(name) as process:
        assert process.stdout is not None
        shared = Path(process.stdout.readline().strip())
        kill_both(process, controller_process(own_state))
    assert names_of(name) == [f"{name}.web", f"e2e-{name}"]
    with Environment(f"next-{os.getpid()}"):
        until(lambda: names_of(name) == [])
        until(lambda: not shared.exists())


def test_no_engine_is_one_clear_message(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(e2e.Unavailable) as raised, Environment("none"):
        pass
    text = str(raised.value)
    assert "/nowhere/docker.sock" in text
    assert "Traceback" not in text
    assert len(text.splitlines()) < 8
