"""The engine is on another machine: a story over TLS, and by ssh."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from controllers import Controller

import e2e
from e2e import equals
from tests.engine import docker_client
from tests.other_machine import OtherMachine, other_machine

IMAGE = "docker.io/library/busybox:1.36"


@pytest.fixture
def machine() -> Iterator[OtherMachine]:
    with docker_client() as client:
        image = b"".join(client.api.get_image(IMAGE))
    with (
        tempfile.TemporaryDirectory(prefix="e2e-", ignore_cleanup_errors=True) as base,
        other_machine(Path(base), image) as made,
    ):
        yield made


def story(controller: Controller) -> None:
    with e2e.Environment("far", controller=controller.address, timeout=120) as env:
        web = env.workload(
            "web",
            image=IMAGE,
            command=["httpd", "-f", "-p", "8080", "-h", "/www"],
            ports={"http": 8080},
            files={"/www/index.html": "hello", "/www/metrics": "pages_total 3\n"},
            readiness=e2e.HttpProbe(port="http", path="/index.html"),
            metrics="http",
        )
        slow = env.workload(
            "slow",
            image=IMAGE,
            command=["sh", "-c", "sleep 1; exec nc -ll -p 9000 -e cat"],
            ports={"echo": 9000},
            readiness=e2e.TcpProbe(port="echo"),
        )
        job = env.job("ask", image=IMAGE, command=["wget", "-q", "-O", "-", "http://web:8080/index.html"])
        env.start_and_wait_ready(web, slow)
        web.wait_sum_metrics(equals(3), "pages_total")
        job.start()
        job.wait_completed()
        assert job.logs() == "hello"
        first = web.endpoint("http")
        web.kill()
        web.start_and_wait_ready()
        assert web.endpoint("http") == first
        with pytest.raises(e2e.Unavailable, match=r"the engine is on another machine.*`files`"):
            _ = web.dir
        here = env.workload(
            "here", image=IMAGE, command=["true"], volumes=[e2e.Volume(source="/tmp", target="/x")]
        )
        with pytest.raises(e2e.WaitFailed, match=r"MountFailed.*is on another machine"):
            here.start_and_wait_ready()


def test_over_tls(machine: OtherMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(machine.base))
    tell(machine, machine.tcp)


def test_by_ssh(machine: OtherMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine.sshd() as folder:
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        tell(machine, machine.ssh)


def tell(machine: OtherMachine, url: str) -> None:
    base = machine.base / "controller"
    base.mkdir()
    controller = Controller(base, [f"--engine={url}"])
    try:
        story(controller)
    finally:
        controller.stop()
    with machine.dockerd.client() as client:
        assert not client.containers.list(all=True)
