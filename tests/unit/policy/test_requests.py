"""Whatever a manifest asks for: what the engine is asked for is within the policy, or it is not asked."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e_api.manifests import Environment, Workload
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerSpec, Key, SpecRefused
from e2e_controller.drivers.docker.containers import creation_body
from e2e_controller.drivers.inventory import Owner
from e2e_controller.objects import Object, Source
from e2e_controller.policy import Guarded, HostPaths, Judge, SameMachine
from e2e_controller.policy.guard import GuardedDriver
from e2e_controller.policy.made import wanted_of_made
from e2e_controller.policy.presets import ENGINE_DEFAULTS
from e2e_controller.reconcile.desired import desired_container

from .places import Host, manifest, policy

KEY = Key("env", "Workload", "web")


class Engine:
    """Stands for a driver: keeps the request that Docker's would send."""

    def __init__(self) -> None:
        self.request: dict[str, Any] | None = None
        self.publish_address = "127.0.0.1"
        self.changes: Mapping[str, Any] = {}
        self.started: list[str] = []

    async def create(self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Any) -> str:
        ports = {f"{port.container_port}/tcp": port.host_port or 40000 for port in spec.ports.values()}
        self.request = creation_body(key, spec, spec_hash, Owner("me"), ports, (), self.publish_address)
        return "id"

    async def describe(self, container_id: str) -> Mapping[str, Any]:
        assert self.request is not None
        host = {**self.request["HostConfig"], **self.changes}
        return {"Config": {"Labels": self.request["Labels"]}, "HostConfig": host}

    async def start_container(self, container_id: str) -> None:
        self.started.append(container_id)


capabilities = st.sampled_from(
    [*ENGINE_DEFAULTS, "SYS_ADMIN", "ALL", "CAP_SYS_ADMIN", "CAP_ALL", "NET_ADMIN"]
)
steps = st.sampled_from(["..", "data", "sub", "link", "chain", "secret", "run", "engine.sock", "state", ""])
heads = st.sampled_from(["HOST", "HOST/data", "/proc/self/rootHOST", "/proc/self/cwd", "//", "./", "../"])
paths = st.builds(lambda head, rest: "/".join([head, *rest]), heads, st.lists(steps, max_size=5))
volumes = st.lists(
    st.builds(
        lambda source, number, read_only: {"source": source, "target": f"/m{number}", "readOnly": read_only},
        st.one_of(paths, st.just("named")),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda volume: volume["target"],
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "security": st.fixed_dictionaries(
            {},
            optional={
                "privileged": st.booleans(),
                "capabilities": st.lists(capabilities, max_size=3),
                "userns": st.sampled_from(["", "host"]),
            },
        ),
        "volumes": volumes,
        "ports": st.dictionaries(
            st.sampled_from(["http", "grpc"]),
            st.builds(lambda port: {"containerPort": 80, "hostPort": port}, st.integers(1, 65535)),
            max_size=1,
        ),
        "labels": st.just({}),
    },
).map(lambda spec: {name: value for name, value in spec.items() if name != "labels"})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = Host(tmp_path_factory.mktemp("host"))
    (host.root / "data" / "link").symlink_to(host.path("secret"))
    (host.root / "data" / "chain").symlink_to("sub/../link")
    (host.root / "data" / "sub" / "link").symlink_to(host.socket)
    return host


@given(spec=specs, defaults=volumes, read_only=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_request_is_beyond_the_policy(
    host: Host, spec: dict[str, Any], defaults: list[dict[str, Any]], read_only: bool
) -> None:
    """By way of the same functions that a reconcile takes; the judge of manifests is left out."""

    def placed(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**v, "source": v["source"].replace("HOST", str(host.root))} for v in found]

    spec = {**spec, "volumes": placed(spec.get("volumes", []))}
    workload, environment = manifest(**spec), manifest("Environment", volumes=placed(defaults))
    assert isinstance(workload, Workload)
    assert isinstance(environment, Environment)
    source = Source(host.path("data/a.yaml"))
    rules = policy(f"hostPaths: [{{path: {host.root}/data, readOnly: {str(read_only).lower()}}}]")
    guarded = [Guarded("the socket", str(host.socket)), Guarded("the state", str(host.state))]
    judge = Judge(rules, HostPaths(SameMachine(), guarded, host.state / "environments"))
    desired = desired_container(
        Object(KEY, workload, source=source),
        Object(Key("env", "Environment", "env"), environment, source=source),
        Directories(host.state),
        mount_shared=True,
    )
    assert desired is not None
    engine = Engine()
    driver = GuardedDriver(engine, judge)  # type: ignore[arg-type]
    try:
        asyncio.run(driver.create(KEY, desired.spec, desired.spec_hash))
    except SpecRefused:
        assert engine.request is None
        return
    assert engine.request is not None
    _check(engine.request["HostConfig"], host, read_only)
    assert judge.judge(wanted_of_made(engine.request)) == ()


def _check(request: dict[str, Any], host: Host, read_only: bool) -> None:
    assert not request["Privileged"]
    assert request["UsernsMode"] == ""
    assert request["NetworkMode"] == "e2e-env"
    assert set(request["CapAdd"]) <= set(ENGINE_DEFAULTS)
    assert {"PidMode", "IpcMode", "UTSMode", "Devices", "Binds", "SecurityOpt"}.isdisjoint(request)
    for bindings in request["PortBindings"].values():
        assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}
        assert all(int(binding["HostPort"]) >= 1024 for binding in bindings)
    for mount in request["Mounts"]:
        if mount["Type"] == "volume":
            assert mount["Source"] == "e2e-env.named"
            assert "VolumeOptions" not in mount
        else:
            source = Path(mount["Source"])
            shared = host.state / "environments" / "env"
            assert source == source.resolve()
            assert source == shared or source.is_relative_to(host.root / "data")
            assert source == shared or mount["ReadOnly"] or not read_only


MADE: list[tuple[str, dict[str, Any]]] = [
    ("privileged", {"Privileged": True}),
    ("privileged", {"SecurityOpt": ["seccomp=unconfined"]}),
    ("capabilities", {"CapAdd": ["CAP_SYS_ADMIN"]}),
    ("hostNamespaces", {"NetworkMode": "host"}),
    ("hostNamespaces", {"PidMode": "host"}),
    ("hostNamespaces", {"IpcMode": "container:other"}),
    ("hostNamespaces", {"UTSMode": "host"}),
    ("hostNamespaces", {"UsernsMode": "host"}),
    ("devices", {"Devices": [{"PathOnHost": "/dev/kvm"}]}),
    ("devices", {"DeviceCgroupRules": ["c *:* rwm"]}),
    ("devices", {"DeviceRequests": [{"Driver": "nvidia"}]}),
    ("hostPaths", {"Binds": ["/etc:/x:ro"]}),
    ("hostPaths", {"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}),
    ("publishedAddresses", {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "1"}]}}),
    ("publishedAddresses", {"PortBindings": {"80/tcp": [{"HostIp": "192.168.0.1", "HostPort": "1"}]}}),
]


@pytest.mark.parametrize(("rule", "changes"), MADE)
async def test_what_the_engine_made_otherwise_is_not_started(
    host: Host, rule: str, changes: dict[str, Any]
) -> None:
    """Whoever changed it: what starts is judged by the engine's own word."""
    engine = Engine()
    driver = GuardedDriver(engine, host.judge())  # type: ignore[arg-type]
    await driver.create(KEY, ContainerSpec("busybox"), "hash")
    await driver.start_container("id")
    assert engine.started == ["id"]
    engine.changes = changes
    with pytest.raises(SpecRefused, match=f"policy rule {rule} denies") as refused:
        await driver.start_container("id")
    assert refused.value.reason == "PolicyDenied"
    assert engine.started == ["id"]
