"""What a process can see of the container that it runs in."""

from pathlib import Path

import pytest

from e2e_api.callers import CallerPlace, container_ids, read_caller
from e2e_controller.own_container import own_hints

ID, OTHER = "a1" * 32, "b2" * 32
DOCKER = f"90 72 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw"
PODMAN = (
    f"90 72 0:25 /containers/overlay-containers/{ID}/userdata/hosts /etc/hosts rw,nosuid - tmpfs tmpfs rw"
)
ON_A_HOST = (
    f"120 27 0:60 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw\n"
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"
)
ROOT = "72 48 0:39 / / rw,relatime master:2 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c/diff,workdir=/c/w"


@pytest.mark.parametrize(
    ("mounts", "cgroups", "hostname", "expected"),
    [
        ("", f"9:name=systemd:/docker/{ID}\n8:pids:/docker/{ID}\n", "web", (ID,)),
        ("", f"0::/system.slice/docker-{ID}.scope\n", "web", (ID,)),
        ("", f"0::/machine.slice/libpod-{ID}.scope\n", "web", (ID,)),
        ("", f"4:cpu:/kubepods/besteffort/pod1/{ID}\n", "web", (ID,)),
        (DOCKER, "0::/\n", ID[:12], (ID, ID[:12])),
        (PODMAN, "0::/\n", "web", (ID,)),
        (DOCKER, f"4:cpu:/docker/{OTHER}\n", "web", (OTHER, ID)),
        (ON_A_HOST, "0::/user.slice/session-1.scope\n", "laptop", ()),
        ("", "4:memory:/jobs/18c7cb9ce9a6fd1d0b13fc7e4750b8e2\n", "vm", ()),
        ("", "", "0123456789ab", ("0123456789ab",)),
        ("garbage", "garbage", "", ()),
    ],
)
def test_ids_that_a_container_may_have(
    mounts: str, cgroups: str, hostname: str, expected: tuple[str, ...]
) -> None:
    assert container_ids(mounts, cgroups, hostname) == expected


@pytest.mark.parametrize(
    "place", [CallerPlace(), CallerPlace(in_container=True), CallerPlace(True, (ID, ID[:12]))]
)
def test_a_caller_tells_where_it_is(place: CallerPlace) -> None:
    assert read_caller(str(place)) == place


@pytest.mark.parametrize("text", ["moon", "container ../x", f"container {ID}00", "container web", "host\0"])
def test_what_no_caller_tells(text: str) -> None:
    with pytest.raises(ValueError, match="expected `host`"):
        read_caller(text)


def test_a_caller_that_says_nothing_is_on_the_host() -> None:
    assert read_caller("") == CallerPlace()


def test_hints_inside_a_container(tmp_path: Path) -> None:
    process = tmp_path / "proc/self"
    process.mkdir(parents=True)
    (process / "mountinfo").write_text(f"{ROOT}\n{DOCKER}\n")
    hints = own_hints(tmp_path)
    assert (hints.ids[0], hints.upper_layer, hints.in_container) == (ID, "/c/diff", True)


def test_a_mark_of_the_engine_is_enough(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    assert own_hints(tmp_path).in_container


def test_hints_outside(tmp_path: Path) -> None:
    process = tmp_path / "proc/self"
    process.mkdir(parents=True)
    (process / "mountinfo").write_text(ON_A_HOST)
    hints = own_hints(tmp_path)
    assert (hints.upper_layer, hints.in_container) == ("", False)
    assert not own_hints(tmp_path / "nowhere").in_container
