"""Bad input and bad luck on the real engine: told with its place and remedy, and nothing else suffers."""

import os
import socket
from pathlib import Path

import pytest
from controllers import Controller

import e2e
from e2e import LogProbe, Port, Resources, Security, Volume, WaitFailed
from tests.conftest import IS_BESIDE
from tests.engine import docker_client

BUSYBOX = "docker.io/library/busybox:1.36"
SLEEP = ["sleep", "600"]


def fail(environment: e2e.Environment, **options: object) -> WaitFailed:
    """Starts a workload beside a good one; the error with which waiting for it ends."""
    good = environment.workload("good", image=BUSYBOX, command=SLEEP)
    bad = environment.workload("bad", **{"image": BUSYBOX, "command": SLEEP, **options})  # type: ignore[arg-type]
    good.start()
    bad.start()
    with pytest.raises(WaitFailed) as failed:
        bad.wait_ready(timeout=60)
    good.wait_ready()
    return failed.value


def test_an_image_that_cannot_be_had(e2e_environment: e2e.Environment) -> None:
    error = fail(e2e_environment, image="localhost:1/nothing/here:v1")
    assert error.reason == "ImagePullFailed"
    assert "localhost:1/nothing/here:v1" in str(error)


def test_an_image_that_must_not_be_pulled(e2e_environment: e2e.Environment) -> None:
    error = fail(e2e_environment, image="localhost:1/nothing/here:v1", image_pull_policy="Never")
    assert error.reason == "ImagePullFailed"
    assert "imagePullPolicy is Never" in str(error)


@pytest.mark.skipif(IS_BESIDE, reason="a port that is taken in here is free on the host")
def test_a_taken_host_port(e2e_environment: e2e.Environment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        error = fail(e2e_environment, ports={"http": Port(container_port=80, host_port=number)})
    assert error.reason == "PortTaken"
    assert str(number) in str(error)


def test_a_bind_source_that_is_not_there(e2e_environment: e2e.Environment, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    error = fail(e2e_environment, volumes=[Volume(source=missing, target="/x")])
    assert error.reason == "MountFailed"
    assert missing in str(error)


def test_an_unknown_capability(e2e_environment: e2e.Environment) -> None:
    error = fail(e2e_environment, security=Security(capabilities=("NO_SUCH_THING",)))
    assert "NO_SUCH_THING" in str(error)


def test_a_program_that_is_not_in_the_image(e2e_environment: e2e.Environment) -> None:
    error = fail(e2e_environment, command=["no-such-program"])
    assert error.reason == "StartFailed"
    assert "no-such-program" in str(error)


def test_out_of_memory(e2e_environment: e2e.Environment) -> None:
    grow = "x=abcdefghijklmnop; while true; do x=$x$x; done"
    error = fail(
        e2e_environment,
        command=["sh", "-c", grow],
        resources=Resources(memory=16 * 2**20),
        readiness=LogProbe(pattern="never"),
    )
    assert error.reason == "OOMKilled"
    assert "raise resources.memory" in str(error)


def test_a_foreign_container_with_our_name_is_never_touched(e2e_environment: e2e.Environment) -> None:
    with docker_client() as engine:
        foreign = engine.containers.create(BUSYBOX, SLEEP, name=f"{e2e_environment.name}.bad")
        try:
            error = fail(e2e_environment)
            assert error.reason == "NameConflict"
            foreign.reload()
            assert foreign.status == "created"
        finally:
            foreign.remove(force=True)


def test_a_folder_full_of_rubbish_hurts_nobody(controller: Controller) -> None:
    name, address = f"mixed-{os.getpid()}", controller.address
    place = controller.folder / name
    place.mkdir()
    (place / "binary.yaml").write_bytes(bytes(range(256)))
    (place / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    (place / "bomb.yaml").write_text(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        )
    )
    with (place / "huge.yaml").open("wb") as huge:
        huge.truncate(100 * 2**20)
    (place / "typo.yaml").write_text(
        "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: typo}\n"
        f"spec:\n  image: {BUSYBOX}\n  comand: [x]\n"
    )
    (place / "good.yaml").write_text(
        "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: good}\n"
        f"spec: {{image: {BUSYBOX}, command: [sleep, '600']}}\n"
    )
    with e2e.Client.connect(address) as client:
        environment = e2e.Environment.attach(name, controller=address)
        with environment:
            environment.get("good", wait=60).wait_ready()
        told = {found.key.name: found.status.conditions[0].message for found in client.list_objects(name)}
    for file, words in {
        f"{name}/binary.yaml": "not UTF-8",
        f"{name}/latin.yaml": "not UTF-8",
        f"{name}/bomb.yaml": "aliases",
        f"{name}/huge.yaml": "bytes",
        "typo": "did you mean command?",
    }.items():
        assert words in told[file], told
    assert "typo.yaml:6:" in told["typo"]
