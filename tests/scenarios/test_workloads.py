"""What a workload can be given and asked, on the real engine."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import e2e
from e2e import ExecFailed, NotFound, NotRunning, Resources, Volume
from tests.engine import docker_client

BUSYBOX = "docker.io/library/busybox:1.36"
SLEEP = ["sleep", "600"]
SERVE = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


def test_exec_passes_streams_and_exit_code(e2e_environment: e2e.Environment) -> None:
    box = e2e_environment.workload("box", image=BUSYBOX, command=SLEEP)
    box.start_and_wait_ready()
    result = box.exec(["sh", "-c", "cat; echo oops >&2; exit 4"], stdin=b"hello", check=False)
    assert (result.stdout, result.stderr, result.exit_code) == (b"hello", b"oops\n", 4)
    with pytest.raises(ExecFailed, match="exited with 4"):
        box.exec(["sh", "-c", "exit 4"])


def test_files_env_user_and_working_dir(e2e_environment: e2e.Environment) -> None:
    box = e2e_environment.workload(
        "box",
        image=BUSYBOX,
        command=SLEEP,
        env={"COLOUR": "blue"},
        user="1000",
        working_dir="/tmp",
        files={"/etc/deep/er/app.conf": "answer: 42\n"},
    )
    box.start_and_wait_ready()
    seen = box.exec(["sh", "-c", "cat /etc/deep/er/app.conf; echo $COLOUR; id -u; pwd"]).stdout_text
    assert seen.split("\n")[:4] == ["answer: 42", "blue", "1000", "/tmp"]


def test_directories_are_shared_at_the_same_path(e2e_environment: e2e.Environment) -> None:
    box = e2e_environment.workload("box", image=BUSYBOX, command=SLEEP)
    other = e2e_environment.workload("other", image=BUSYBOX, command=SLEEP)
    box.write_file("given.txt", "from the host")
    e2e_environment.start_and_wait_ready(box, other)
    assert box.exec(["cat", f"{box.dir}/given.txt"]).stdout == b"from the host"
    box.exec(["sh", "-c", f"echo from box > {e2e_environment.shared_dir}/note"])
    assert other.exec(["cat", f"{e2e_environment.shared_dir}/note"]).stdout == b"from box\n"
    assert (e2e_environment.shared_dir / "note").read_text() == "from box\n"


def test_workloads_reach_each_other_by_name(e2e_environment: e2e.Environment) -> None:
    server = e2e_environment.workload("server", image=BUSYBOX, command=SERVE, ports={"http": 8080})
    client = e2e_environment.workload("client", image=BUSYBOX, command=SLEEP)
    e2e_environment.start_and_wait_ready(server, client)
    address = server.internal_endpoint("http")
    assert address == "server:8080"
    fetch = f"until wget -qO- http://{address}/passwd; do sleep 0.1; done"
    assert b"root" in client.exec(["sh", "-c", fetch], timeout=60).stdout


def test_a_port_stays_the_same_over_stop_and_start(e2e_environment: e2e.Environment) -> None:
    readiness = e2e.HttpProbe(port="http", path="/passwd")
    web = e2e_environment.workload(
        "web", image=BUSYBOX, command=SERVE, ports={"http": 8080}, readiness=readiness, grace_period=0
    )
    assert not web.is_running()
    web.start_and_wait_ready()
    endpoint = web.endpoint("http")
    with urllib.request.urlopen(f"http://{endpoint}/passwd", timeout=60) as response:
        assert b"root" in response.read()
    for rest in (web.stop, web.kill):
        rest()
        with pytest.raises(NotRunning):
            web.endpoint("http")
        web.start()
        web.wait_ready()
        assert web.endpoint("http") == endpoint
    web.stop()
    web.update(env={"COLOUR": "blue"})
    web.start_and_wait_ready()
    assert web.endpoint("http") == endpoint  # in another container


def test_pause_freezes_and_unpause_thaws(e2e_environment: e2e.Environment) -> None:
    box = e2e_environment.workload("box", image=BUSYBOX, command=SLEEP)
    box.start_and_wait_ready()
    container = box.status().container
    assert container is not None
    box.pause()
    assert not box.is_running()
    box.unpause()
    again = box.status().container
    assert again is not None
    assert (again.id, again.state) == (container.id, "running")


def test_volumes_outlive_a_change_of_the_container(e2e_environment: e2e.Environment) -> None:
    volume = Volume(source="data", target="/data")
    box = e2e_environment.workload("box", image=BUSYBOX, command=SLEEP, volumes=[volume])
    box.start_and_wait_ready()
    box.exec(["sh", "-c", "echo kept > /data/x"])
    box.update(env={"CHANGED": "yes"})
    box.wait_ready()
    assert box.exec(["sh", "-c", "cat /data/x; echo $CHANGED"]).stdout == b"kept\nyes\n"


def test_host_paths_are_mounted(e2e_environment: e2e.Environment, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("host")
    volume = Volume(source=str(tmp_path), target="/host", read_only=True)
    box = e2e_environment.workload("box", image=BUSYBOX, command=SLEEP, volumes=[volume])
    box.start_and_wait_ready()
    assert box.exec(["cat", "/host/x"]).stdout == b"host"
    assert box.exec(["touch", "/host/y"], check=False).exit_code != 0


def test_environment_defaults_limit_its_workloads() -> None:
    with e2e.Environment(resources=Resources(memory=32 * 2**20), labels={"team": "a"}) as env:
        box = env.workload("box", image=BUSYBOX, command=SLEEP)
        box.start_and_wait_ready()
        limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
        assert box.exec(["sh", "-c", limit], check=False).stdout.split()[0] == b"33554432"


def test_restarts_are_counted(e2e_environment: e2e.Environment) -> None:
    # What it is ready by is there in the second run only.
    command = ["sh", "-c", "test -e $MARK && touch $MARK.again && sleep 600; touch $MARK; exit 1"]
    mark = str(e2e_environment.shared_dir / "mark")
    box = e2e_environment.workload(
        "box",
        image=BUSYBOX,
        command=command,
        env={"MARK": mark},
        restart_policy="OnFailure",
        readiness=e2e.ExecProbe(command=("test", "-e", f"{mark}.again")),
    )
    box.start_and_wait_ready()
    container = box.status().container
    assert container is not None
    assert container.restart_count == 1


def test_remove_takes_one_and_leaves_the_other(e2e_environment: e2e.Environment) -> None:
    box = e2e_environment.workload("box", image=BUSYBOX, command=SLEEP)
    other = e2e_environment.workload("other", image=BUSYBOX, command=SLEEP)
    e2e_environment.start_and_wait_ready(box, other)
    box.remove()
    with pytest.raises(NotFound):
        e2e_environment.get("box")
    assert other.is_running()


KILLED = """
import e2e, os, sys
env = e2e.Environment("{name}").start()
env.workload("box", image="{image}", command=["sleep", "600"]).start_and_wait_ready()
print("up", flush=True)
sys.stdin.read()
"""


def test_the_environment_of_a_killed_test_process_goes() -> None:
    name = f"killed-{os.getpid()}"
    program = KILLED.format(name=name, image=BUSYBOX)
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdin, process.stdout:
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    from e2e.messages import environment_key

    with e2e.Client.connect() as client:
        client.wait([environment_key(name)], e2e.Goal.DELETED, 100)
    with docker_client() as engine:
        assert not engine.containers.list(all=True, filters={"name": f"^/?{name}[.]"})
