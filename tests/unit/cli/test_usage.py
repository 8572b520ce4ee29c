"""What the doctor says of cAdvisor."""

from pathlib import Path
from typing import Any

import pytest

from e2e.cli.checks import Finding, Mark
from e2e.cli.usage import check_usage

from .test_checks import ENGINE

HERE = Path(__file__)


def told(engine: dict[str, Any], pressure: Path = HERE, **accounting: Any) -> list[Finding]:
    known = {**ENGINE["accounting"], **accounting}  # type: ignore[dict-item]
    return list(check_usage({"engine": {**ENGINE, **engine, "accounting": known}}, pressure))


def test_a_machine_where_everything_is_seen() -> None:
    (found,) = told({})
    good = "cAdvisor: sees CPU, memory, network, block I/O of containers (cgroup version 2)"
    assert found == Finding(Mark.GOOD, good)


def test_without_an_engine_there_is_nothing_to_say() -> None:
    assert list(check_usage({"error": "no socket"})) == []
    (found,) = told({"local_files": False})
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
def test_what_is_not_seen(accounting: dict[str, Any], said: str, remedy: str) -> None:
    _, found = told({}, **accounting)
    assert found.mark is Mark.WARNING
    assert said in found.text
    assert remedy in found.remedy


def test_a_kernel_that_counts_no_pressure(tmp_path: Path) -> None:
    _, found = told({}, pressure=tmp_path / "none")
    assert "psi=1" in found.remedy


def test_an_engine_elsewhere_has_to_be_named() -> None:
    rootless = {"address": "unix:///run/user/1000/docker.sock", "data_folder": "/home/me/docker"}
    _, found = told(rootless, rootless=True, layers=None)
    assert found.remedy == (
        'e2edb.cadvisor(env, name, engine_data="/home/me/docker", engine_socket="/run/user/1000/docker.sock")'
    )
    assert "rootless" in found.text
