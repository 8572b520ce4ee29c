"""What of an engine's own words decides on what can be told of the use of its containers."""

from pathlib import Path
from typing import Any

import pytest

from e2e_controller.doctor import _accounting

INFO: dict[str, Any] = {
    "CgroupVersion": "2",
    "CPUShares": True,
    "MemoryLimit": True,
    "SwapLimit": True,
    "SecurityOptions": ["name=seccomp,profile=default", "name=cgroupns"],
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
}
GOOD = {
    "cgroup_version": "2",
    "cpu": True,
    "memory": True,
    "swap": True,
    "rootless": False,
    "storage": "overlay2",
    "containerd_store": False,
    "layers": True,
}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """An engine's own, as the storage driver overlay2 has it."""
    (tmp_path / "image" / "overlay2" / "layerdb").mkdir(parents=True)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, {}),
        ({"CgroupVersion": "1", "SwapLimit": False}, {"cgroup_version": "1", "swap": False}),
        ({"MemoryLimit": False}, {"memory": False}),
        ({"CPUShares": False}, {"cpu": False}),
        ({"SecurityOptions": ["name=rootless"]}, {"rootless": True}),
        (
            {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
            {"storage": "overlayfs", "containerd_store": True, "layers": False},
        ),
        ({"DriverStatus": None, "SecurityOptions": None}, {}),
    ],
)
def test_what_an_engine_counts(folder: str, changed: dict[str, Any], told: dict[str, Any]) -> None:
    assert _accounting({**INFO, **changed}, folder) == {**GOOD, **told}


def test_of_an_engine_elsewhere_nobody_knows_the_layers() -> None:
    assert _accounting(INFO, None)["layers"] is None
