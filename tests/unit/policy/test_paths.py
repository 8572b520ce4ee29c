"""Paths of the host: whatever way is taken, what counts is where it leads."""

import os
import socket
from pathlib import Path

import pytest

from e2e_api.manifests import EnvironmentSpec
from e2e_controller.policy import (
    Guarded,
    HostPaths,
    Judge,
    OtherMachine,
    OwnMounts,
    make_judge,
    wanted_of_manifest,
)

from .places import Host, denied, manifest, policy


def mounts(host: Host, *paths: str, read_only: bool = False) -> list[dict[str, object]]:
    return [
        {"source": path.replace("HOST", str(host.root)), "target": f"/m{number}", "readOnly": read_only}
        for number, path in enumerate(paths)
    ]


ALLOWED = ["HOST/data", "HOST/data/sub", "HOST/data/./sub/", "HOST//data//sub", "HOST/data/sub/../sub"]
OUTSIDE = [
    "/",
    "//",
    "/etc",
    "HOST/secret",
    "HOST/database",
    "HOST/data/../secret",
    "HOST/data/sub/../../secret",
    "HOST/data/sub/../..",
    "/proc/self/rootHOST/secret",
    "/proc/self/cwd",
    "/proc/1/root",
    "/proc/self/rootHOST/data/../secret",
    "/dev/fd/../../../etc",
    "HOST/data/link",
    "HOST/data/link/deeper",
    "HOST/data/sub/chain",
    "HOST/data/loop",
    "HOST/data/up/secret",
]


@pytest.fixture
def links(host: Host) -> Host:
    data = host.root / "data"
    (data / "link").symlink_to(host.path("secret"))
    (data / "sub" / "chain").symlink_to("../link")
    (data / "loop").symlink_to("loop")
    (data / "up").symlink_to("..")
    (data / "inner").symlink_to("sub")
    return host


def judged(host: Host, rules: str, *paths: str, read_only: bool = False) -> list[str]:
    return denied(host.judge(rules), volumes=mounts(host, *paths, read_only=read_only))


@pytest.mark.parametrize(
    "path", [*ALLOWED, "HOST/data/inner", "/proc/self/rootHOST/data", "HOST/data/absent"]
)
def test_what_is_listed_may_be_mounted(links: Host, path: str) -> None:
    assert judged(links, "hostPaths: [{path: HOST/data}]", path) == []


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_leads_out_of_it_may_not(links: Host, path: str) -> None:
    assert judged(links, "hostPaths: [{path: HOST/data}]", path) == ["hostPaths"]


@pytest.mark.parametrize("path", [*ALLOWED, *OUTSIDE])
def test_without_a_list_nothing_may(links: Host, path: str) -> None:
    assert judged(links, "", path) == ["hostPaths"]


def test_the_list_is_read_where_it_leads_too(host: Host) -> None:
    (host.root / "alias").symlink_to("data")
    assert judged(host, "hostPaths: [{path: HOST/alias/}]", "HOST/data/sub", "HOST/alias/sub") == []
    assert judged(host, "hostPaths: [{path: HOST/alias/..}]", "HOST/secret") == []


def test_the_nearest_of_the_list_says_whether_it_is_read_only(host: Host) -> None:
    rules = "hostPaths: [{path: HOST/data, readOnly: true}, {path: HOST/data/sub}]"
    assert judged(host, rules, "HOST/data") == ["hostPaths"]
    assert judged(host, rules, "HOST/data", read_only=True) == []
    assert judged(host, rules, "HOST/data/sub") == []
    assert judged(host, "hostPaths: [{path: '*', readOnly: true}]", "/etc", read_only=True) == []
    assert judged(host, "hostPaths: [{path: '*', readOnly: true}]", "/etc") == ["hostPaths"]


@pytest.mark.parametrize(
    "path", ["HOST/run/engine.sock", "HOST/run", "HOST", "HOST/run/../run", "HOST/data/s"]
)
def test_the_engines_socket_is_not_had_by_way_of_a_folder(host: Host, path: str) -> None:
    (host.root / "data" / "s").symlink_to(host.socket)
    assert "hostPaths" in judged(host, "hostPaths: [{path: /}]", path)


def test_the_engines_socket_may_be_listed(host: Host) -> None:
    rules = "hostPaths: [{path: HOST/run/engine.sock, readOnly: true}]"
    assert judged(host, rules, "HOST/run/engine.sock", read_only=True) == []
    assert judged(host, rules, "HOST/run", read_only=True) == ["hostPaths"]
    both = "hostPaths: [{path: HOST/run}, {path: HOST/run/engine.sock}]"
    assert judged(host, both, "HOST/run") == []


def test_where_engines_listen_by_default_is_guarded_each_once(tmp_path: Path) -> None:
    judge = make_judge(policy("hostPaths: [{path: /}]"), tmp_path, engine_socket="/var/run/docker.sock")
    for path in ("/", "/run", "/var/run/docker.sock", "/run/containerd/containerd.sock", str(tmp_path)):
        rules = denied(judge, volumes=[{"source": path, "target": "/m"}])
        assert set(rules) == {"hostPaths"}, path


def test_another_name_of_the_socket_is_the_socket(host: Host) -> None:
    os.link(host.socket, host.root / "data" / "other-name")
    assert judged(host, "hostPaths: [{path: HOST/data}]", "HOST/data/other-name") == ["hostPaths"]


def test_the_folder_of_the_socket_under_another_name_is_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bind mount would show it; only root can make one."""
    look, same = os.lstat, host.root / "run"
    monkeypatch.setattr(os, "lstat", lambda path: look(same if str(path).endswith("/data/sub") else path))
    assert judged(host, "hostPaths: [{path: HOST/data}]", "HOST/data/sub") == ["hostPaths"]


def test_other_sockets_and_devices_have_to_be_listed_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(host.root / "data")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("s")  # the whole path may be too long for a socket
        assert judged(host, "hostPaths: [{path: HOST/data}]", "HOST/data/s") == ["hostPaths"]
        assert judged(host, "hostPaths: [{path: HOST/data/s}]", "HOST/data/s") == []
    assert judged(host, "hostPaths: [{path: /dev}]", "/dev/null") == ["hostPaths"]
    assert judged(host, "hostPaths: [{path: /dev/null}]", "/dev/null") == []


def test_the_environments_own_shared_directory_is_allowed(host: Host) -> None:
    own = "HOST/state/environments/env"
    assert judged(host, "", own, f"{own}/../env") == []


@pytest.mark.parametrize("path", ["", "/manifests", "/environments", "/environments/other"])
def test_the_rest_of_the_state_folder_is_not(host: Host, path: str) -> None:
    assert judged(host, "hostPaths: [{path: HOST}]", f"HOST/state{path}") == ["hostPaths"]


def test_what_containers_put_into_the_shared_directory_is_no_way_out(host: Host) -> None:
    """They are root in it: what is below it may be swapped at any time, so only the whole is mounted."""
    own = host.root / "state" / "environments" / "env"
    (own / "planted").symlink_to("/etc")
    (own / "plain").mkdir()
    assert judged(host, "", "HOST/state/environments/env/planted") == ["hostPaths"]
    assert judged(host, "", "HOST/state/environments/env/plain") == ["hostPaths"]
    assert judged(host, "hostPaths: [{path: HOST/data}]", "HOST/state/environments/env/planted") == [
        "hostPaths"
    ]


def test_defaults_of_an_environment_are_judged(host: Host) -> None:
    volumes = mounts(host, "/etc")
    assert denied(host.judge(), "Environment", volumes=volumes) == ["hostPaths"]


def test_relative_paths_are_those_of_the_file(host: Host) -> None:
    volumes = [{"source": "./sub", "target": "/m"}, {"source": "../secret", "target": "/n"}]
    judge = host.judge("hostPaths: [{path: HOST/data}]")
    assert denied(judge, folder=host.path("data"), watched=True, volumes=volumes) == ["hostPaths"]


def test_named_volumes_are_no_paths(host: Host) -> None:
    assert denied(host.judge(), volumes=[{"source": "data", "target": "/data"}]) == []


# A controller in a container


def test_in_a_container_only_what_is_mounted_is_seen(host: Host) -> None:
    """`/there` on the host is `data` here."""
    view = OwnMounts((("/there", host.path("data")),))
    (host.root / "data" / "out").symlink_to(host.path("secret"))
    judge = host.judge("hostPaths: [{path: /there}, {path: /elsewhere}]", view)

    def judged(path: str) -> list[str]:
        return denied(judge, volumes=[{"source": path, "target": "/m"}])

    assert judged("/there") == []
    assert judged("/there/sub") == []
    assert judged("/there/absent") == []
    assert judged("/there/out") == ["hostPaths"]
    assert judged("/there/../secret") == ["hostPaths"]
    assert judged("/elsewhere") == ["hostPaths"]  # allowed, but where it leads cannot be seen
    assert judged(host.path("data")) == ["hostPaths"]


def test_all_that_a_folder_needs_which_a_container_does_not_see_is_told(host: Host) -> None:
    wanted = wanted_of_manifest(
        manifest(volumes=mounts(host, "HOST/data")), "env", host.root, EnvironmentSpec(), watched=False
    )
    (denial,) = host.judge("", OwnMounts()).judge(wanted)
    assert denial.message.endswith("mount it there at the same path, and list it in the policy")


def test_in_a_container_the_socket_and_the_shared_directory_are_those_of_the_host(host: Host) -> None:
    pairs = (("/var/run/d.sock", str(host.socket)), ("/srv/state", str(host.state)))
    judge = host.judge("hostPaths: [{path: /}]", OwnMounts(pairs))

    def judged(path: str) -> list[str]:
        return denied(judge, volumes=[{"source": path, "target": "/m"}])

    assert judged("/srv/state/environments/env") == []
    assert judged("/srv/state/environments/other") == ["hostPaths"]
    assert judged("/var/run/d.sock") == ["hostPaths"]


def test_of_another_machine_nothing_is_seen(host: Host) -> None:
    wanted = wanted_of_manifest(
        manifest(volumes=mounts(host, "HOST/data")), "env", host.root, EnvironmentSpec(), watched=False
    )
    (denial,) = host.judge("hostPaths: [{path: /}]", OtherMachine()).judge(wanted)
    assert denial.message.endswith(
        "the engine is on another machine, whose folders cannot be looked at from here"
    )


def test_in_a_container_a_folder_of_the_host_may_have_the_socket_under_another_name(host: Host) -> None:
    """The socket is mounted alone, and the host's folder that has it elsewhere."""
    alone = host.root / "data" / "alone.sock"
    os.link(host.socket, alone)  # as a mount of it would be
    pairs = (("/var/run/engine.sock", str(alone)), ("/run", host.path("run")), ("/", host.path("")))
    guarded = [Guarded("the engine's socket", str(host.socket))]
    os.link(host.socket, host.root / "secret" / "engine.sock")
    paths = HostPaths(OwnMounts(pairs), guarded, host.state / "environments")
    judge = Judge(policy("hostPaths: [{path: /run}, {path: /secret}]"), paths)
    for path in ("/run", "/secret"):
        assert denied(judge, volumes=[{"source": path, "target": "/m"}]) == ["hostPaths"]


def test_the_nearest_mount_counts() -> None:
    view = OwnMounts((("/a", "/x"), ("/a/b", "/y"), ("/", "/host")))
    assert view.here("/a/c") == "/x/c"
    assert view.here("/a/b/c") == "/y/c"
    assert view.here("/ab") == "/host/ab"
    assert view.here("/") == "/host"
    assert view.there("/y") == "/a/b"
    assert view.there("/etc") is None
    assert OwnMounts().here("/") is None


def test_a_path_that_cannot_be_looked_at_is_denied(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    judge = host.judge("hostPaths: [{path: HOST/data}]")
    monkeypatch.setattr(os, "lstat", refuse)
    assert denied(judge, volumes=mounts(host, "HOST/data")) == ["hostPaths"]
