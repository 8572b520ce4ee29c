"""The policy on the real engine: what is denied leaves no trace, and paths lead nowhere else."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import e2e as command
from controllers import Controller, names_on_engine
from small import BUSYBOX, until_stopped

import e2e
from e2e import Security, Volume
from tests.engine import docker_client

DENIED = [
    ("privileged", {"security": Security(privileged=True)}),
    ("capabilities", {"security": Security(capabilities=("SYS_ADMIN",))}),
    ("hostNamespaces", {"security": Security(userns="host")}),
    ("hostPaths", {"volumes": [Volume(source="/", target="/host", read_only=True)]}),
    ("hostPaths", {"volumes": [Volume(source="/proc/self/root", target="/host")]}),
    ("hostPaths", {"volumes": [Volume(source="/var/run/docker.sock", target="/s")]}),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that may be mounted: `good`, and beside it a secret that may not."""
    folder = tmp_path.resolve() / "data"
    (folder / "good").mkdir(parents=True)
    (folder / "good" / "content").write_text("good\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "content").write_text("secret\n")
    return folder


@pytest.fixture
def options(data: Path, tmp_path: Path) -> list[str]:
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"extends: restricted\nhostPaths: [{{path: {data}}}]\n")
    return ["--policy", str(policy)]


@pytest.fixture
def env(controller: Controller, environment: str) -> Iterator[e2e.Environment]:
    with e2e.Environment(environment, controller=controller.address) as env:
        yield env


def test_what_is_denied_is_refused_at_once_and_makes_nothing(env: e2e.Environment) -> None:
    for number, (rule, options) in enumerate(DENIED):
        bad = env.workload(f"bad-{number}", image="never.example/pulled:1", **options)  # type: ignore[arg-type]
        with pytest.raises(e2e.PolicyDenied, match=f"policy rule {rule} denies") as denied:
            bad.start()
        assert [field for field, _ in denied.value.violations] == [rule]
        assert denied.value.action == "fix-manifest"
    good = env.workload("good", image=BUSYBOX, command=until_stopped())
    env.start_and_wait_ready(good)
    assert not [name for name in names_on_engine(env.name) if "bad" in name]


def test_a_file_that_is_denied_is_a_condition(controller: Controller, environment: str) -> None:
    (controller.folder / environment).mkdir()
    (controller.folder / environment / "bad.yaml").write_text(
        "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: bad}\n"
        "spec: {image: 'never.example/pulled:1', security: {privileged: true}}\n"
    )
    asked = ("--controller", controller.address, "get", "--env", environment, "bad", "-o", "json")
    found = json.loads(command(*asked)[1])
    (condition,) = [c for c in found["status"]["conditions"] if c["type"] == "Accepted"]
    assert (condition["status"], condition["reason"]) == ("CONDITION_STATUS_FALSE", "PolicyDenied")
    assert "bad.yaml:1: policy rule privileged denies spec.security.privileged" in condition["message"]
    assert names_on_engine(environment) == []


def test_a_link_in_the_shared_directory_is_no_way_to_the_host(env: e2e.Environment) -> None:
    """Containers are root there, and may make any link."""
    first = env.workload("first", image=BUSYBOX, command=until_stopped())
    env.start_and_wait_ready(first)
    link = f"{env.shared_dir}/link"
    assert first.exec(["ln", "-s", "/etc", link]).exit_code == 0
    for path in (link, f"{link}/ssl", f"{env.shared_dir}/../../.."):
        bad = env.workload("bad", image=BUSYBOX, volumes=[Volume(source=path, target="/x")])
        with pytest.raises(e2e.PolicyDenied, match="policy rule hostPaths denies"):
            bad.start()
    volume = Volume(source=str(env.shared_dir), target="/whole")
    second = env.workload("second", image=BUSYBOX, command=until_stopped(), volumes=[volume])
    env.start_and_wait_ready(second)
    assert second.exec(["readlink", "/whole/link"]).stdout.strip() == b"/etc"


def test_the_engine_mounts_what_was_judged(env: e2e.Environment, data: Path) -> None:
    (data / "link").symlink_to("good")
    volume = Volume(source=f"{data}/link", target="/x")
    workload = env.workload("w", image=BUSYBOX, command=until_stopped(), volumes=[volume])
    env.start_and_wait_ready(workload)
    assert workload.exec(["cat", "/x/content"]).stdout == b"good\n"
    with docker_client() as client:
        made = client.api.inspect_container(f"{env.name}.w")
    assert {m["Source"] for m in made["HostConfig"]["Mounts"]} == {str(data / "good"), str(env.shared_dir)}
    (data / "link").unlink()
    (data / "link").symlink_to(data.parent / "secret")
    with pytest.raises(e2e.PolicyDenied, match="secret: it may not be mounted"):
        workload.stop()
    workload.remove()


def test_a_link_that_is_swapped_all_the_time_shows_no_secret(env: e2e.Environment, data: Path) -> None:
    """Whoever may write beside what is mounted: what is mounted is what was judged, or nothing."""
    link, other, end = data / "link", data / "other", threading.Event()
    link.symlink_to("good")

    def swap() -> None:
        while not end.is_set():
            for target in (data.parent / "secret", Path("good")):
                other.symlink_to(target)
                other.rename(link)
                time.sleep(0.002)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen, refused = set[str](), set[str]()
    try:
        for number in range(12):
            workload = env.workload(
                f"w{number}",
                image=BUSYBOX,
                command=until_stopped("cat /x/content", "echo done"),
                volumes=[Volume(source=f"{link}/.", target="/x", read_only=True)],
                readiness=e2e.LogProbe(pattern="done"),
            )
            try:
                env.start_and_wait_ready(workload)
                seen.add(workload.logs())
            except (e2e.PolicyDenied, e2e.WaitFailed) as error:
                refused.add(error.reason)
            if seen and refused:
                break
    finally:
        end.set()
        swapping.join()
    assert seen <= {"good\ndone\n"}
    assert refused <= {"PolicyDenied"}
