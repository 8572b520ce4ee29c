"""Paths of a process in a container, and of the engine's host."""

from pathlib import Path

import pytest

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import BuildSpec, DriverError, Guest, GuestMount, Mount, SpecRefused
from e2e_controller.drivers.docker.own_paths import OwnPaths


@pytest.fixture
def paths() -> OwnPaths:
    made = OwnPaths()
    made.own = Guest(
        "1" * 64, "e2e", mounts=(GuestMount("/home/me/manifests", "/manifests", writable=False),)
    )
    return made


def test_outside_of_containers_both_are_the_same() -> None:
    paths, mount = OwnPaths(), Mount("/data", "/data", is_host_path=True, is_own_path=True)
    assert paths.on_host("/data") == "/data"
    assert paths.mounts([mount]) == (mount,)
    assert paths.missing("/nowhere") == ""


def test_only_own_paths_are_told_as_the_hosts(paths: OwnPaths) -> None:
    mounts = (
        Mount("/manifests/web/data", "/a", is_host_path=True, is_own_path=True),
        Mount("/manifests/web/data", "/b", is_host_path=True),
        Mount("data", "/c"),
    )
    assert [mount.source for mount in paths.mounts(mounts)] == [
        "/home/me/manifests/web/data",
        "/manifests/web/data",
        "data",
    ]


def test_what_the_host_does_not_have_is_refused(paths: OwnPaths) -> None:
    only_here = Mount("/var/lib/e2e/x", "/x", is_host_path=True, is_own_path=True)
    with pytest.raises(SpecRefused, match=r"container e2e only.*`docker run -v /var/lib/e2e/x:") as failed:
        paths.mounts([only_here])
    assert (failed.value.reason, failed.value.retry) == (Reason.MOUNT_FAILED, False)
    with pytest.raises(DriverError):
        paths.on_host("/manifests-of-others")


def test_a_build_context_may_be_given_by_its_path_on_the_host(paths: OwnPaths, tmp_path: Path) -> None:
    def context(path: str) -> str:
        return paths.context(BuildSpec("tag", path)).context

    assert context("/home/me/manifests/app") == "/manifests/app"
    assert context("/home/me/other") == "/home/me/other"
    assert context(str(tmp_path)) == str(tmp_path)
    assert "mount /home/me/other there" in paths.missing("/home/me/other")
    assert paths.missing(str(tmp_path)) == ""
