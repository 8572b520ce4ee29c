"""Each rule: what it allows, and what it denies."""

from pathlib import Path
from typing import Any

import pytest

from e2e_api.manifests import EnvironmentSpec, Resources
from e2e_controller.policy.wanted import Wanted, WantedPort

from .places import Host, denied, manifest

PLAIN: dict[str, Any] = {}
WITH_PORT = {"ports": {"http": 80}}
ON_PORT = {"ports": {"http": {"containerPort": 80, "hostPort": 8080}}}
LOW_PORT = {"ports": {"http": {"containerPort": 80, "hostPort": 80}}}
DIGEST = "@sha256:" + "a" * 64


def security(**fields: Any) -> dict[str, Any]:
    return {"security": fields}


def image(name: str) -> dict[str, Any]:
    return {"image": name}


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("", PLAIN, []),
    ("", security(privileged=True), ["privileged"]),
    ("privileged: true", security(privileged=True), []),
    ("", security(capabilities=["CHOWN", "CAP_NET_RAW"]), []),
    ("", security(capabilities=["SYS_ADMIN"]), ["capabilities"]),
    ("", security(capabilities=["CAP_SYS_ADMIN", "CHOWN"]), ["capabilities"]),
    ("", security(capabilities=["ALL"]), ["capabilities"]),
    ("capabilities: [SYS_PTRACE]", security(capabilities=["CAP_SYS_PTRACE"]), []),
    ("capabilities: [CAP_SYS_PTRACE]", security(capabilities=["SYS_PTRACE"]), []),
    ("capabilities: [SYS_PTRACE]", security(capabilities=["CHOWN"]), ["capabilities"]),
    ("capabilities: ['*']", security(capabilities=["ALL"]), []),
    ("capabilities: [ALL]", security(capabilities=["SYS_ADMIN", "ALL"]), []),
    ("", security(userns="host"), ["hostNamespaces"]),
    ("hostNamespaces: [pid]", security(userns="host"), ["hostNamespaces"]),
    ("hostNamespaces: [userns]", security(userns="host"), []),
    ("images: {registries: [quay.io/prometheus]}", image("quay.io/prometheus/prometheus:v3"), []),
    (
        "images: {registries: [quay.io/prometheus]}",
        image("quay.io/prometheus-evil/x"),
        ["images.registries"],
    ),
    ("images: {registries: [quay.io]}", image("quay.io.evil.example/x:v3"), ["images.registries"]),
    ("images: {registries: [quay.io]}", image("evil.example/quay.io/x:v3"), ["images.registries"]),
    ("images: {registries: [docker.io]}", image("busybox"), []),
    ("images: {registries: [index.docker.io/library]}", image("docker.io/busybox:1"), []),
    ("images: {registries: [busybox]}", image("docker.io/library/busybox:1"), []),
    ("images: {registries: [busybox]}", image("somebody/busybox:1"), ["images.registries"]),
    ("images: {registries: [docker.io/library]}", image("cafe"), ["images.registries"]),  # may be an id
    ("images: {registries: [docker.io]}", image("sha256:" + "a" * 64), ["images.registries"]),
    ("images: {registries: ['localhost:5000']}", image("localhost:5000/x:1"), []),
    ("images: {registries: ['localhost:5000']}", image("localhost:5001/x:1"), ["images.registries"]),
    ("images: {registries: []}", image("busybox:1"), ["images.registries"]),
    ("images: {deniedTags: [latest]}", image("busybox"), ["images.deniedTags"]),
    ("images: {deniedTags: [latest]}", image("busybox" + DIGEST), []),
    ("images: {deniedTags: [latest]}", image("busybox:latest" + DIGEST), ["images.deniedTags"]),
    ("images: {tags: ['v1.*']}", image("busybox:v1.2"), []),
    ("images: {tags: ['v1.*']}", image("busybox:v2"), ["images.tags"]),
    ("images: {requireDigest: true}", image("busybox:1"), ["images.requireDigest"]),
    ("images: {requireDigest: true}", image("busybox:1" + DIGEST), []),
    ("", WITH_PORT, []),
    ("publishedAddresses: []", WITH_PORT, ["publishedAddresses"]),
    ("publishedAddresses: [127.0.0.1]", WITH_PORT, []),
    ("publishedAddresses: [10.0.0.0/8]", WITH_PORT, ["publishedAddresses"]),
    ("", ON_PORT, []),
    ("", LOW_PORT, ["hostPorts"]),
    ("hostPorts: [80, 8000-8079]", LOW_PORT, []),
    ("hostPorts: [80, 8000-8079]", ON_PORT, ["hostPorts"]),
    ("hostPorts: []", WITH_PORT, []),
    ("resources: {perWorkload: {memory: 1Gi}}", PLAIN, ["resources.perWorkload"]),
    ("resources: {perWorkload: {memory: 1Gi}}", {"resources": {"memory": "1Gi"}}, []),
    (
        "resources: {perWorkload: {memory: 1Gi}}",
        {"resources": {"memory": "1025Mi"}},
        ["resources.perWorkload"],
    ),
    ("resources: {perWorkload: {cpus: 0.5}}", {"resources": {"cpus": 0.5}}, []),
    ("resources: {perWorkload: {cpus: 0.5}}", {"resources": {"cpus": 0.51}}, ["resources.perWorkload"]),
    ("resources: {perEnvironment: {cpus: 2}}", PLAIN, ["resources.perEnvironment"]),
]


@pytest.mark.parametrize(("rules", "spec", "expected"), CASES)
def test_a_rule(host: Host, rules: str, spec: dict[str, Any], expected: list[str]) -> None:
    assert denied(host.judge(rules), **spec) == expected


@pytest.mark.parametrize(("_rules", "spec", "_expected"), CASES)
def test_permissive_allows_all_of_it(
    host: Host, _rules: str, spec: dict[str, Any], _expected: list[str]
) -> None:
    assert denied(host.judge("").permissive(), **spec) == []


def test_limits_are_told_as_manifests_write_them(host: Host) -> None:
    judge = host.judge("resources: {perWorkload: {memory: 1Gi, cpus: 0.5}}")
    much, none = Wanted("env", memory=1025 * 2**20, cpus=0.75), Wanted("env")
    assert [denial.message for wanted in (much, none) for denial in judge.judge(wanted)] == [
        "1025Mi is more than 1Gi; ask for less",
        "0.75 is more than 0.5; ask for less",
        "is missing, and there is a limit of 1Gi; give it, or a default in the Environment",
        "is missing, and there is a limit of 0.5; give it, or a default in the Environment",
    ]


def test_jobs_are_judged_as_workloads_are(host: Host) -> None:
    assert denied(host.judge(), "Job", security={"privileged": True}) == ["privileged"]


def test_a_limit_may_be_the_environments(host: Host) -> None:
    judge = host.judge("resources: {perWorkload: {memory: 1Gi}}")
    assert denied(judge, defaults=EnvironmentSpec(resources=Resources(memory=2**30))) == []
    assert denied(judge, defaults=EnvironmentSpec(resources=Resources(memory=2**31))) == [
        "resources.perWorkload"
    ]


def test_an_environment_needs_no_limits_but_may_not_give_more(host: Host) -> None:
    judge = host.judge("resources: {perWorkload: {memory: 1Gi}}")
    assert denied(judge, "Environment") == []
    assert denied(judge, "Environment", resources={"memory": "2Gi"}) == ["resources.perWorkload"]


def test_all_that_is_denied_is_told(host: Host) -> None:
    wanted = manifest(security={"privileged": True, "capabilities": ["SYS_ADMIN"], "userns": "host"})
    assert wanted.spec.security.privileged
    rules = denied(
        host.judge(), security={"privileged": True, "capabilities": ["SYS_ADMIN"], "userns": "host"}
    )
    assert rules == ["privileged", "capabilities", "hostNamespaces"]


def test_what_no_manifest_can_ask_for_is_judged_all_the_same(host: Host) -> None:
    """A driver that offered it would find the rules in place."""
    wanted = Wanted(
        "env",
        devices=("/dev/kvm",),
        namespaces=("network", "pid", "ipc", "uts"),
        ports=(WantedPort("p", None, "0.0.0.0"), WantedPort("p", None, "192.168.1.1")),
    )
    rules = [denial.rule for denial in host.judge().judge(wanted)]
    assert rules == ["hostNamespaces"] * 4 + ["devices"] + ["publishedAddresses"] * 2
    allowing = host.judge(
        "devices: [/dev/kvm]\nhostNamespaces: [network, pid, ipc, uts]\npublishedAddresses: [0.0.0.0/0]"
    )
    assert allowing.judge(wanted) == ()


def test_the_denial_says_what_where_and_what_helps(host: Host) -> None:
    from e2e_controller.policy.wanted import wanted_of_manifest

    wanted = wanted_of_manifest(
        manifest(security={"privileged": True}), "env", Path("/"), EnvironmentSpec(), watched=False
    )
    (denial,) = host.judge().judge(wanted)
    assert str(denial) == (
        "policy rule privileged denies spec.security.privileged: no container may be privileged; "
        "leave it out, and ask for the capabilities it needs"
    )


# Builds


@pytest.fixture
def app(host: Host) -> Path:
    folder = host.root / "folder" / "app"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


def test_a_watched_folders_manifests_are_built_of_what_is_in_it(host: Host, app: Path) -> None:
    judge = host.judge(folders=(app.parent,))
    place = {"folder": str(app.parent), "watched": True}
    assert denied(judge, build={"context": "./app"}, **place) == []
    assert denied(judge, build={"context": "../secret"}, **place) == ["build.contexts"]
    assert denied(judge, build={"context": str(app)}) == ["build.contexts"]  # not by the API


def test_a_context_may_be_listed(host: Host, app: Path) -> None:
    judge = host.judge("build: {contexts: [HOST/folder]}")
    assert denied(judge, build={"context": str(app)}) == []
    assert denied(judge, build={"context": host.path("secret")}) == ["build.contexts"]
    assert denied(judge, build={"context": f"{app}/../../secret"}) == ["build.contexts"]


def test_a_context_is_judged_by_where_it_leads(host: Host, app: Path) -> None:
    (app / "link").symlink_to(host.path("secret"))
    judge = host.judge("build: {contexts: [HOST/folder]}")
    assert denied(judge, build={"context": f"{app}/link"}) == ["build.contexts"]
    assert denied(judge, build={"context": f"/proc/self/root{app}"}) == []
    assert denied(judge, build={"context": f"/proc/self/root{host.path('secret')}"}) == ["build.contexts"]


@pytest.mark.parametrize("dockerfile", ["../../secret/x", "/etc/passwd", "sub/../../../secret/x"])
def test_a_dockerfile_outside_is_no_way_to_read_the_host(host: Host, app: Path, dockerfile: str) -> None:
    judge = host.judge("build: {contexts: [HOST/folder/app]}")
    assert denied(judge, build={"context": str(app), "dockerfile": dockerfile}) == ["build.contexts"]


def test_a_dockerfile_may_be_elsewhere_among_what_is_listed(host: Host, app: Path) -> None:
    judge = host.judge("build: {contexts: [HOST/folder]}")
    build = {"context": str(app), "dockerfile": "../Dockerfile.app"}
    assert denied(judge, build=build) == []
    (app.parent / "Dockerfile.app").symlink_to("/etc/passwd")
    assert denied(judge, build=build) == ["build.contexts"]


def test_no_context_has_the_state_folder(host: Host) -> None:
    judge = host.judge("build: {contexts: [HOST]}")
    assert denied(judge, build={"context": host.path("data")}) == []
    for name in ("", "state", "state/environments/env"):
        assert denied(judge, build={"context": host.path(name)}) == ["build.contexts"]


def test_builds_may_be_denied(host: Host, app: Path) -> None:
    judge = host.judge("build: {allowed: false, contexts: [/]}")
    assert denied(judge, build={"context": str(app)}) == ["build.allowed"]


def test_where_images_are_limited_a_build_is_a_way_around(host: Host, app: Path) -> None:
    rules = "images: {registries: [quay.io]}\nbuild: {contexts: [HOST/folder]%s}"
    assert denied(host.judge(rules % ""), build={"context": str(app)}) == ["build.anyBaseImage"]
    allowing = host.judge(rules % ", anyBaseImage: true")
    assert denied(allowing, build={"context": str(app)}) == []
