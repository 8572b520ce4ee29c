"""The shared directories, as workloads have them and as callers see them."""

from pathlib import Path

import pytest

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import EngineInfo, Guest, GuestMount
from e2e_controller.shared_folders import SharedFolders

AT_SAME_PATH = GuestMount("/srv/e2e", "/srv/e2e")
ELSEWHERE = GuestMount("/home/me/state", "/srv/e2e")
VOLUME = GuestMount("/var/lib/docker/volumes/state/_data", "/srv/e2e", volume="state")


def guest(*mounts: GuestMount, name: str = "tests") -> Guest:
    return Guest("1" * 64, name, mounts=mounts)


def folders(own: Guest | None, *, local_files: bool = True) -> SharedFolders:
    info = EngineInfo("x", "1", "1", "Linux", containers_reachable=True, local_files=local_files, own=own)
    return SharedFolders(Directories(Path("/srv/e2e/state")), info)


@pytest.mark.parametrize(
    ("path", "on_host"),
    [
        ("/srv/e2e", "/home/me/state"),
        ("/srv/e2e/a/b", "/home/me/state/a/b"),
        ("/srv/e2e/manifests/x.yaml", "/etc/manifests/x.yaml"),
        ("/srv/e2e-other", None),
        ("/", None),
    ],
)
def test_a_path_of_a_container_on_the_host(path: str, on_host: str | None) -> None:
    own = guest(ELSEWHERE, GuestMount("/etc/manifests", "/srv/e2e/manifests", writable=False))
    assert own.host_path(path) == on_host
    if on_host:
        assert own.path_inside(on_host) == path


def test_a_deeper_mount_hides_what_is_below() -> None:
    own = guest(ELSEWHERE, GuestMount("/etc/manifests", "/srv/e2e/manifests"))
    assert own.path_inside("/home/me/state/manifests/x") is None
    assert own.path_inside("/home/me/state/other") == "/srv/e2e/other"
    assert own.path_inside("/home/me") is None


class TestOnTheHost:
    def test_callers_of_the_host_and_of_containers_that_have_it(self) -> None:
        shared = folders(None)
        assert shared.available
        for caller in (None, guest(AT_SAME_PATH), guest(GuestMount("/", "/"))):
            assert shared.seen_by(caller, "env") == ("/srv/e2e/state/environments/env", "")

    def test_a_container_that_does_not_have_it(self) -> None:
        path, problem = folders(None).seen_by(guest(), "env")
        assert path == ""
        assert "container tests does not have it" in problem
        assert "-v /srv/e2e/state:/srv/e2e/state" in problem

    def test_an_engine_elsewhere(self) -> None:
        shared = folders(None, local_files=False)
        assert not shared.available
        assert "on another machine" in shared.seen_by(None, "env")[1]


class TestInAContainer:
    def test_at_the_same_path(self) -> None:
        shared = folders(guest(AT_SAME_PATH))
        for caller in (None, guest(AT_SAME_PATH)):
            assert shared.seen_by(caller, "env") == ("/srv/e2e/state/environments/env", "")

    @pytest.mark.parametrize("mount", [ELSEWHERE, VOLUME])
    def test_at_another_path_containers_see_it_and_the_host_is_told(self, mount: GuestMount) -> None:
        shared = folders(guest(mount))
        assert shared.available
        assert shared.seen_by(guest(mount), "env") == ("/srv/e2e/state/environments/env", "")
        path, problem = shared.seen_by(None, "env")
        assert path == ""
        assert f"at {mount.source}/state on this host" in problem
        assert "E2E_STATE_DIR" in problem

    def test_a_container_that_has_it_elsewhere_is_told_how(self) -> None:
        caller = guest(GuestMount(VOLUME.source, "/mnt", volume="state"))
        path, problem = folders(guest(VOLUME)).seen_by(caller, "env")
        assert path == ""
        assert "has it at /mnt/state" in problem
        assert "-v state:/srv/e2e" in problem

    def test_in_the_containers_own_layer(self) -> None:
        shared = folders(guest())
        assert not shared.available
        assert "in the controller's container alone" in shared.seen_by(None, "env")[1]
