"""What the doctor says of cAdvisor."""

from pathlib import Path
from typing import Any

import pytest

from e2e.cli.checks import Finding, Mark
from e2e.cli.usage import check_usage

from .test_checks import ENGINE

BLOCK_IO_1 = "sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes"
CONTROLLERS_2 = "sys/fs/cgroup/cgroup.controllers"
FILES = {
    BLOCK_IO_1: "254:0 Read 1\n254:0 Total 1\nTotal 1\n",
    CONTROLLERS_2: "cpu io memory\n",
    "proc/pressure/cpu": "some",
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def told(machine: Path, engine: dict[str, Any], **accounting: Any) -> list[Finding]:
    known = {**ENGINE["accounting"], **accounting}  # type: ignore[dict-item]
    return list(check_usage({"engine": {**ENGINE, **engine, "accounting": known}}, machine))


def test_a_machine_where_everything_is_seen(machine: Path) -> None:
    (found,) = told(machine, {})
    good = "cAdvisor: sees CPU, memory, network, block I/O of containers (cgroup version 2)"
    assert found == Finding(Mark.GOOD, good)


def test_without_an_engine_there_is_nothing_to_say(machine: Path) -> None:
    assert list(check_usage({"error": "no socket"})) == []
    (found,) = told(machine, {"local_files": False})
    assert found.mark is Mark.WARNING


@pytest.mark.parametrize(
    ("accounting", "said", "remedy"),
    [
        ({"memory": False, "swap": False}, "no memory", "cgroup_enable=memory"),
        ({"swap": False}, "container_memory_swap is always 0", "swapaccount=1"),
        ({"cpu": False}, "no CPU time", ""),
        ({"cgroup_version": "1"}, "no pressure", ""),
        ({"containerd_store": True, "layers": False}, "containerd's store", "containerd-snapshotter"),
        ({"layers": False, "storage": "btrfs"}, "storage driver btrfs", ""),
    ],
)
def test_what_is_not_seen(machine: Path, accounting: dict[str, Any], said: str, remedy: str) -> None:
    _, found = told(machine, {}, **accounting)
    assert found.mark is Mark.WARNING
    assert said in found.text
    assert remedy in found.remedy


def test_a_kernel_that_counts_no_pressure(machine: Path) -> None:
    (machine / "proc/pressure/cpu").unlink()
    _, found = told(machine, {})
    assert "psi=1" in found.remedy


@pytest.mark.parametrize(("version", "name"), [("1", BLOCK_IO_1), ("2", CONTROLLERS_2)])
def test_a_kernel_that_counts_no_block_io(machine: Path, version: str, name: str) -> None:
    (machine / name).write_text("Total 0\n")
    seen, found, *_ = told(machine, {}, cgroup_version=version)
    assert "sees CPU, memory, network of" in seen.text
    assert "no block I/O" in found.text
    (machine / name).unlink()
    assert "block I/O" in told(machine, {}, cgroup_version=version)[0].text


def test_an_engine_elsewhere_has_to_be_named(machine: Path) -> None:
    rootless = {"address": "unix:///run/user/1000/docker.sock", "data_folder": "/home/me/docker"}
    _, found = told(machine, rootless, rootless=True, layers=None)
    assert found.remedy == (
        'e2edb.cadvisor(env, name, engine_data="/home/me/docker", engine_socket="/run/user/1000/docker.sock")'
    )
    assert "rootless" in found.text
