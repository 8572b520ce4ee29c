import io
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e_controller.drivers.base import (
    ContainerPhase,
    ContainerSpec,
    FileContent,
    Health,
    Key,
    Mount,
    PortSpec,
)
from e2e_controller.drivers.docker import containers, owners
from e2e_controller.drivers.inventory import Owner

KEY = Key("env", "Workload", "web")


def body(
    spec: ContainerSpec, ports: dict[str, int] | None = None, chosen: tuple[int, ...] = ()
) -> dict[str, Any]:
    return containers.creation_body(KEY, spec, "hash", Owner("me"), ports or {}, chosen)


def test_a_plain_container() -> None:
    assert body(ContainerSpec(image="image")) == {
        "Image": "image",
        "Hostname": "web",
        "Env": [],
        "User": "",
        "WorkingDir": "",
        "StopSignal": "SIGTERM",
        "Labels": {
            "io.e2e.controller": "me",
            "io.e2e.environment": "env",
            "io.e2e.kind": "Workload",
            "io.e2e.name": "web",
            "io.e2e.spec-hash": "hash",
        },
        "ExposedPorts": {},
        "HostConfig": {
            "NetworkMode": "e2e-env",
            "PortBindings": {},
            "Mounts": [],
            "LogConfig": {"Type": "json-file", "Config": containers.LOG_LIMITS},
            "Privileged": False,
            "CapAdd": [],
            "UsernsMode": "",
        },
        "NetworkingConfig": {"EndpointsConfig": {"e2e-env": {"Aliases": ["web"]}}},
    }


def test_a_failed_healthcheck_says_how_it_ended() -> None:
    log = [{"ExitCode": 0, "Output": "fine"}, {"ExitCode": 1, "Output": "sick\n"}]
    assert containers._health_output({"Status": "unhealthy", "Log": log}) == "exit code 1: sick"
    assert containers._health_output({"Status": "healthy", "Log": log[:1]}) == ""
    assert containers._health_output({"Status": "unhealthy", "Log": [{"ExitCode": 137}]}) == "exit code 137"
    assert containers._health_output({}) == ""


def test_who_has_a_port_is_told_by_what_its_readers_know() -> None:
    labels = containers.key_labels(KEY, Owner("me"))
    listed = [{"Id": "c", "Names": ["/env.web"], "Ports": [{"PublicPort": 80}], "Labels": labels}]
    said = "container env.web has port 80; it belongs to Workload web of "
    assert containers.holder_of_port(listed, 80, "me") == said + "environment env"
    assert containers.holder_of_port(listed, 80, "other") == said + "controller me"
    assert containers.holder_of_port(listed, 81, "me") == ""


def test_who_has_a_port_is_not_named_where_that_is_another_environments_business() -> None:
    labels = containers.key_labels(KEY, Owner("me"))
    listed = [{"Id": "c", "Names": ["/env.web"], "Ports": [{"PublicPort": 80}], "Labels": labels}]
    strangers = [{**listed[0], "Names": ["/theirs"], "Labels": None}]
    said = "a container outside of this environment has port 80"
    assert containers.holder_of_port(listed, 80, "me", "other") == said
    assert containers.holder_of_port(strangers, 80, "me", "other") == said
    assert containers.holder_of_port(listed, 80, "me", "env").startswith("container env.web has port 80")


def test_everything() -> None:
    spec = ContainerSpec(
        image="image",
        entrypoint=(),
        command=("a", "b c"),
        env={"A": "=1", "B": ""},
        ports={"http": PortSpec(80), "dns": PortSpec(53, 5353, "udp")},
        files=(FileContent("/f", b""),),
        mounts=(Mount("data", "/data"), Mount("/host", "/x", read_only=True, is_host_path=True)),
        memory=64 * 2**20,
        cpus=0.1,
        privileged=True,
        capabilities=("NET_ADMIN",),
        userns="host",
    )
    made = body(spec, {"80/tcp": 20000, "53/udp": 5353}, (20000,))
    assert made["Entrypoint"] == []
    assert made["Cmd"] == ["a", "b c"]
    assert made["Env"] == ["A==1", "B="]
    assert made["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert made["Labels"]["io.e2e.chosen-ports"] == "20000"
    assert made["Labels"]["io.e2e.has-files"] == "1"
    host = made["HostConfig"]
    assert host["PortBindings"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "20000"}]
    assert host["Mounts"] == [
        {"Type": "volume", "Source": "e2e-env.data", "Target": "/data", "ReadOnly": False},
        {"Type": "bind", "Source": "/host", "Target": "/x", "ReadOnly": True},
    ]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 * 2**20, 64 * 2**20, 100_000_000)
    assert host["Privileged"]
    assert "Binds" not in host
    assert "RestartPolicy" not in host


def inspected(**state: Any) -> dict[str, Any]:
    zero = "0001-01-01T00:00:00Z"
    return {
        "Id": "id",
        "Created": "2026-11-23T08:06:45.185352761Z",
        "Config": {
            "Image": "image",
            "Labels": containers.key_labels(KEY, Owner("me")) | {"io.e2e.spec-hash": "hash"},
        },
        "State": {"Status": "created", "StartedAt": zero, "FinishedAt": zero, "ExitCode": 0, "Error": ""}
        | state,
        "NetworkSettings": {"Networks": {"e2e-env": {"NetworkID": "net", "IPAddress": "10.201.0.2"}}},
        "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20000"}], "81/tcp": None}
        },
    }


def test_a_container_that_never_ran() -> None:
    found = containers.to_container(KEY, inspected(Error="no such program", ExitCode=127))
    assert found.phase is ContainerPhase.CREATED
    assert found.created_at == datetime(2026, 11, 23, 8, 6, 45, 185352, UTC)
    assert (found.started_at, found.finished_at, found.exit_code, found.address) == (None, None, None, "")
    assert found.error == "no such program"
    assert found.host_ports == {"80/tcp": 20000}
    assert found.spec_hash == "hash"


def test_a_running_container() -> None:
    state = {
        "Status": "running",
        "StartedAt": "2026-11-23T10:06:45+02:00",
        "FinishedAt": "2026-11-23T08:00:00Z",
        "Health": {"Status": "unhealthy"},
    }
    found = containers.to_container(KEY, inspected(**state))
    assert found.phase is ContainerPhase.RUNNING
    assert found.started_at == datetime(2026, 11, 23, 8, 6, 45, tzinfo=UTC)
    assert found.finished_at is None
    assert found.exit_code is None
    assert found.health is Health.UNHEALTHY
    assert (found.network_id, found.address) == ("net", "10.201.0.2")


@pytest.mark.parametrize(
    ("status", "phase", "code"),
    [
        ("exited", ContainerPhase.EXITED, 137),
        ("dead", ContainerPhase.DEAD, 137),
        ("removing", ContainerPhase.DEAD, 137),
        ("paused", ContainerPhase.PAUSED, None),
        ("restarting", ContainerPhase.RUNNING, None),
    ],
)
def test_phases(status: str, phase: ContainerPhase, code: int | None) -> None:
    found = containers.to_container(KEY, inspected(Status=status, ExitCode=137, OOMKilled=True))
    assert (found.phase, found.exit_code, found.oom_killed) == (phase, code, True)


@pytest.mark.parametrize(
    ("memory", "code", "told", "expected"),
    [(2**24, 137, False, True), (0, 137, False, False), (2**24, 1, False, False), (2**24, 137, True, False)],
)
def test_killed_at_the_limit(memory: int, code: int, told: bool, expected: bool) -> None:
    state = inspected(Status="exited", ExitCode=code, OOMKilled=told)
    state["HostConfig"]["Memory"] = memory
    assert containers.is_killed_at_limit(state) == expected


def test_no_network_at_all() -> None:
    for networks in (None, {}, {"other": {"NetworkID": "x"}}):
        view = inspected() | {"NetworkSettings": {"Networks": networks}}
        assert containers.to_container(KEY, view).network_id == ""


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (containers.key_labels(KEY, Owner("me")), KEY),
        (containers.key_labels(KEY, Owner("other")), None),
        (containers.key_labels(Key("../up", "Workload", "web"), Owner("me")), None),
        (containers.key_labels(Key("env", "Workload", "A b"), Owner("me")), None),
        ({"io.e2e.controller": "me"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_whose_it_is(labels: dict[str, str] | None, expected: Key | None) -> None:
    assert containers.key_of(labels, "me") == expected


def test_who_has_it_in_words() -> None:
    assert containers.owner_text(None) == "something that e2e did not make"
    assert containers.owner_text(Owner("me").labels) == "controller me"
    assert "Workload" in containers.owner_text(containers.key_labels(KEY, Owner("me")))


def test_half_made() -> None:
    view = inspected()
    assert not containers.is_half_made(view)
    view["Config"]["Labels"]["io.e2e.has-files"] = "1"
    assert containers.is_half_made(view)
    view["State"]["StartedAt"] = "2026-11-23T08:00:00Z"
    assert not containers.is_half_made(view)


def test_chosen_ports() -> None:
    view = inspected()
    assert containers.chosen_ports(view) == frozenset()
    view["Config"]["Labels"]["io.e2e.chosen-ports"] = "20000,20001"
    assert containers.chosen_ports(view) == {20000, 20001}


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("", (0, 0)),
        ("1000", (1000, 0)),
        ("1000:1001", (1000, 1001)),
        ("nobody", (0, 0)),
        ("nobody:5", (0, 5)),
    ],
)
def test_owners(user: str, owner: tuple[int, int]) -> None:
    assert owners.owner_of(user) == owner


PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:82:83:web:/:/bin/false\nbroken:x\n"
GROUP = "root:x:0:\nstaff:x:50:web\n"


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("web", (82, 83)),
        ("web:staff", (82, 50)),
        ("web:7", (82, 7)),
        ("1000:staff", (1000, 50)),
        ("broken", (0, 0)),
        ("nobody:nobody", (0, 0)),
    ],
)
def test_owners_by_name(user: str, owner: tuple[int, int]) -> None:
    assert owners.names_somebody(user)
    assert owners.owner_of(user, PASSWD, GROUP) == owner


def test_the_archive_of_files() -> None:
    files = (
        FileContent("/a/b", b"x", 0o600),
        FileContent("//c/../d", b""),
        FileContent("/" + "n" * 300, b"y"),
    )
    data = containers.files_archive(files, (1, 2), 1700000000.9)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["a/b", "d", "n" * 300]
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(1, 2, 1700000000)}
    assert all(member.isfile() for member in members)
    assert members[0].mode == 0o600


def test_private_files() -> None:
    assert not containers.is_private((FileContent("/a", b""), FileContent("/b", b"", 0o755)))
    assert containers.is_private((FileContent("/a", b""), FileContent("/b", b"", 0o640)))


@pytest.mark.parametrize(("name", "environment"), [("e2e-a-b", "a-b"), ("bridge", ""), ("e2e-", "")])
def test_environments_of_networks(name: str, environment: str) -> None:
    assert containers.environment_of_network(name) == environment


@pytest.mark.parametrize(
    ("label", "attempt"), [("", 0), ("2", 2), ("x", 0), ("²", 0), ("-1", 0), ("9" * 5000, 0)]
)
def test_an_image_may_have_any_label(label: str, attempt: int) -> None:
    document = inspected()
    document["Config"]["Labels"] = {"io.e2e.attempt": label, "io.e2e.chosen-ports": f"1,{label}"}
    assert containers.to_container(KEY, document).attempt == attempt
    assert 1 in containers.chosen_ports(document)
