"""What a cAdvisor is given, and which of its series are left."""

import re

import e2e
import e2edb

from .manifests import flags_of

Labels = dict[str, str]


def relabelled(environment: str, series: Labels) -> Labels | None:
    """The series as Prometheus makes it of these rules; None where it is dropped."""
    for rule in e2e.cadvisor.relabelling(environment):
        if rule.get("action") == "labeldrop":
            series = {name: value for name, value in series.items() if not re.fullmatch(rule["regex"], name)}
            continue
        joined = ";".join(series.get(name, "") for name in rule["source_labels"])
        if found := re.fullmatch(rule["regex"], joined):
            if rule.get("action") == "drop":
                return None
            series = {**series, rule["target_label"]: found[1]}
    return series


def container(environment: str, name: str) -> Labels:
    labels = {"container_label_io_e2e_environment": environment, "container_label_io_e2e_name": name}
    return {"id": "/docker/c0ffee", "name": f"{environment}.{name}", **labels}


def test_series_of_the_environments_containers_are_under_the_workloads_name() -> None:
    kept = relabelled("shop", container("shop", "web"))
    assert kept == {"id": "/docker/c0ffee", "name": "shop.web", "workload": "web"}


def test_those_of_other_environments_and_of_the_machine_are_dropped() -> None:
    assert relabelled("shop", container("shop-2", "web")) is None
    assert relabelled("shop", {"id": "/"}) is None
    assert relabelled("shop", {"id": "/docker/c0ffee", "name": "foreign"}) is None


def test_without_a_name_the_environments_are_told_apart() -> None:
    kept = relabelled("", container("shop", "web"))
    assert kept == {"id": "/docker/c0ffee", "name": "shop.web", "environment": "shop", "workload": "web"}
    assert relabelled("", {"id": "/docker/c0ffee", "name": "foreign"}) is None
    (one,) = e2e.cadvisor.job("c:8080")["static_configs"]
    assert one["labels"] == {"instance": "c:8080"}


def test_a_process_in_a_cgroup_of_its_own_is_under_that_name() -> None:
    for base in ("", "/user.slice/user-1000.slice"):
        kept = relabelled("shop", {"id": f"{base}/e2e/test-process"})
        assert kept is not None
        assert kept["workload"] == "test-process"
        kept = relabelled("shop", {"id": f"{base}/e2e/shop.test-process"})
        assert kept is not None
        assert kept["workload"] == "test-process"
        assert relabelled("shop", {"id": f"{base}/e2e/shop-2.test-process"}) is None
        kept = relabelled("", {"id": f"{base}/e2e/shop.test-process"})
        assert kept is not None
        assert (kept["environment"], kept["workload"]) == ("shop", "test-process")
    assert relabelled("shop", {"id": "/e2e/test-process/child"}) is None
    assert relabelled("shop", {"id": "/e2e"}) is None


def test_what_is_told_of_the_machine_and_of_itself_stays() -> None:
    assert relabelled("shop", {"machine_id": "1"}) == {"machine_id": "1"}
    assert relabelled("shop", {}) == {}


def test_it_is_not_privileged_and_may_write_nothing_of_the_hosts(env: e2e.Environment) -> None:
    spec = e2edb.cadvisor(env, "usage").manifest.spec
    assert not spec.security.privileged
    assert spec.security.capabilities == ()
    assert {volume.target: volume.read_only for volume in spec.volumes} == {
        "/sys/fs/cgroup": True,
        "/rootfs/proc": True,
        "/rootfs/var/lib/docker/image": True,
        "/var/run/docker.sock": True,
    }


def test_another_engine_and_other_flags(env: e2e.Environment) -> None:
    other = e2edb.cadvisor(
        env,
        "usage",
        engine_data="/data",
        engine_socket="/run/user/1000/docker.sock",
        processes=["/user.slice/e2e"],
        flags={"--housekeeping_interval": "5s", "--docker_only": None},
    )
    sources = {volume.target: volume.source for volume in other.manifest.spec.volumes}
    assert sources["/rootfs/data/image"] == "/data/image"
    assert sources["/var/run/docker.sock"] == "/run/user/1000/docker.sock"
    flags = flags_of(other)
    assert flags["--housekeeping_interval"] == ["5s"]
    assert flags["--raw_cgroup_prefix_whitelist"] == ["/user.slice/e2e"]
    assert "--docker_only" not in flags


def test_labels_of_ones_own_leave_its_mark(env: e2e.Environment) -> None:
    marked = e2edb.cadvisor(env, "usage", labels={"team": "a"}).manifest.metadata.labels
    assert marked == {"team": "a", "e2e-metrics": "containers"}


def test_the_sdks_own_options_are_the_same(env: e2e.Environment) -> None:
    own = env.workload("own", **e2e.cadvisor.options())
    assert own.manifest.spec == e2edb.cadvisor(env, "own-2").manifest.spec
