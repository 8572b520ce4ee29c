"""Monitoring: what is applied, served and removed. The controller and Prometheus are fakes."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

import e2e
from e2e import AsyncEnvironment, Environment, cadvisor, cgroups
from e2e.monitoring import AsyncMonitoring, Monitoring
from e2e.prometheus.configuration import configuration, duration
from e2e_api.manifests import Workload
from e2e_api.parsing import parse_documents
from e2e_api.v1 import environment_service_pb2, manifest_service_pb2, wait_service_pb2

from .conftest import Later
from .fake_controller import FakeController, ready_object, until
from .web_program import serving

pytestmark = pytest.mark.usefixtures("patient")

SUBNET = "127.0.0.0/16"


class Prometheus:
    """Has scraped the test process, or not."""

    def __init__(self) -> None:
        self.is_scraped = True
        self.targets: list[dict[str, Any]] = []
        self.queries: list[str] = []

    def answer(self, path: str, query: dict[str, str]) -> bytes:
        if path == "/api/v1/targets":
            data: dict[str, Any] = {"activeTargets": self.targets}
        else:
            self.queries.append(query["query"])
            result = [{"metric": {}, "value": [1.0, "1"]}] if self.is_scraped else []
            data = {"resultType": "vector", "result": result}
        return json.dumps({"status": "success", "data": data}).encode()


@pytest.fixture
def prometheus(controller: FakeController) -> Iterator[Prometheus]:
    found = Prometheus()
    with serving(found.answer) as address:
        endpoints = [{"port": "http", "internal": "m:9090", "external": address, "protocol": "tcp"}]

        def get(request: Any) -> Iterator[Any]:
            key = request.key
            if (key.environment, key.kind, key.name) not in controller.objects:
                raise e2e.NotFound("it does not exist")
            answer = ready_object(key.environment, key.name, endpoints=endpoints)
            yield manifest_service_pb2.GetResponse(object=answer)

        controller.answers["Get"] = get
        controller.answers["ListEnvironments"] = lambda _: iter([network(SUBNET)])
        yield found
    assert not [thread for thread in threading.enumerate() if thread.name == "e2e metrics"]


def network(subnet: str) -> environment_service_pb2.ListEnvironmentsResponse:
    summary = environment_service_pb2.EnvironmentSummary(environment="env", subnet=subnet)
    return environment_service_pb2.ListEnvironmentsResponse(environments=[summary])


def applied(controller: FakeController) -> list[Workload]:
    found = []
    for request in controller.asked(manifest_service_pb2.ApplyRequest):
        for document in parse_documents(request.documents.encode()):
            assert isinstance(document.manifest, Workload)
            found.append(document.manifest)
    return found


def deleted(controller: FakeController) -> list[str]:
    return [
        key.name for request in controller.asked(manifest_service_pb2.DeleteRequest) for key in request.keys
    ]


def files_of(manifest: Workload) -> dict[str, str | None]:
    return {file.path: file.content for file in manifest.spec.files}


def test_it_applies_and_serves_and_removes(controller: FakeController, prometheus: Prometheus) -> None:
    with Environment("env") as env:
        with e2e.monitoring.start(env, cadvisor=False, registry=CollectorRegistry()) as monitoring:
            assert isinstance(monitoring, Monitoring)
            assert monitoring.cadvisor is None
            assert monitoring.prometheus.name == "monitoring"
            first, second = applied(controller)
            assert first.spec.state == second.spec.state == "Running"
            assert files_of(first)["/etc/prometheus/targets/test-process.json"] == "[]"
            text = files_of(second)["/etc/prometheus/targets/test-process.json"]
            own, other = json.loads(text or "")
            assert own["targets"] == other["targets"] == [monitoring._server.address]  # type: ignore[union-attr]
            assert own["labels"] == {
                "job": "test-process",
                "instance": "test-process",
                "environment": "env",
                "__metrics_path__": "/metrics",
            }
            assert (other["labels"]["job"], other["labels"]["__metrics_path__"]) == (
                "e2e-controller",
                "/controller/metrics",
            )
            assert prometheus.queries == ['up{job="test-process",instance="test-process"}']
            assert deleted(controller) == []
        assert deleted(controller) == ["monitoring"]
        monitoring.close()
    assert deleted(controller) == ["monitoring"]


def test_what_changes_while_it_runs_is_written_into_it(
    controller: FakeController, prometheus: Prometheus
) -> None:
    with Environment("env") as env:
        e2e.monitoring.start(env, cadvisor=False)
    by_path = {file.path: file for file in applied(controller)[0].spec.files}
    assert by_path["/etc/prometheus/targets/workloads.json"].from_ == "MetricTargets"
    assert {path: file.reaction for path, file in by_path.items()} == {
        "/etc/prometheus/prometheus.yml": "Signal(SIGHUP)",
        "/etc/prometheus/targets/workloads.json": "None",
        "/etc/prometheus/targets/test-process.json": "None",
    }
    assert by_path["/etc/prometheus/prometheus.yml"].from_ == "MetricJobs"


def test_an_environment_takes_it_along(controller: FakeController, prometheus: Prometheus) -> None:
    with Environment("env") as env:
        monitoring = e2e.monitoring.start(env, cadvisor=False)
    assert deleted(controller) == []  # the environment was deleted, with all that is in it
    with pytest.raises(e2e.NotRunning, match="environment env is not started"):
        monitoring.query("up")
    monitoring.close()


def test_an_environment_of_others_is_left_as_it_was(
    controller: FakeController, prometheus: Prometheus
) -> None:
    with Environment.attach("env") as env:
        e2e.monitoring.start(env, cadvisor=False)
    assert deleted(controller) == ["monitoring"]


def test_what_is_kept_keeps_it(controller: FakeController, prometheus: Prometheus) -> None:
    with Environment("env", keep=True) as env:
        e2e.monitoring.start(env, cadvisor=False)
    assert deleted(controller) == []


def test_a_failure_that_is_kept_keeps_what_it_has_gathered(
    controller: FakeController, prometheus: Prometheus
) -> None:
    env = Environment("env", keep_on_failure=True)
    with pytest.raises(ZeroDivisionError), env, e2e.monitoring.start(env, cadvisor=False):
        _ = 1 / 0
    assert deleted(controller) == []
    until(lambda: controller.held == [])
    env = Environment("env", keep_on_failure=True)
    with env, e2e.monitoring.start(env, name="other", cadvisor=False):
        pass
    assert deleted(controller) == ["other"]


def test_options(controller: FakeController, prometheus: Prometheus) -> None:
    rules = {"groups": [{"name": "g", "rules": [{"alert": "Down", "expr": "up == 0"}]}]}
    with Environment("env") as env:
        e2e.monitoring.start(
            env,
            name="watch",
            image="prom:1",
            scrape_interval=0.5,
            cadvisor=False,
            rules=rules,
            test_process=False,
        )
    (manifest,) = applied(controller)
    assert (manifest.metadata.name, manifest.spec.image) == ("watch", "prom:1")
    files = files_of(manifest)
    assert "/etc/prometheus/targets/test-process.json" not in files
    assert yaml.safe_load(files["/etc/prometheus/rules.yml"] or "") == rules
    config = yaml.safe_load(files["/etc/prometheus/prometheus.yml"] or "")
    assert config["rule_files"] == ["/etc/prometheus/rules.yml"]
    assert config["global"] == {
        "scrape_interval": "500ms",
        "scrape_timeout": "500ms",
        "evaluation_interval": "500ms",
    }
    assert prometheus.queries == ['up{job="watch",instance="watch:9090"}']


def test_wrong_options_start_nothing(controller: FakeController) -> None:
    with Environment("env") as env:
        for wrong in (0, -1, float("inf"), float("nan"), 1e9, True, None, "1s"):
            expected = f"scrape_interval: expected seconds, 0.05 to 86400, not {wrong!r}"
            with pytest.raises(e2e.InvalidArgument, match=expected):
                e2e.monitoring.start(env, scrape_interval=wrong)  # type: ignore[arg-type]
        with pytest.raises(e2e.InvalidArgument, match="current_process_as_container needs cAdvisor"):
            e2e.monitoring.start(env, cadvisor=False, current_process_as_container=True)
        with pytest.raises(TypeError, match="nonsense"):
            e2e.monitoring.start(env, nonsense=1)  # type: ignore[call-arg]
        assert applied(controller) == []


def test_what_has_the_name_is_left_alone(controller: FakeController, prometheus: Prometheus) -> None:
    with Environment("env") as env:
        env.workload("monitoring", image="mine").start()
        with pytest.raises(e2e.Conflict, match="env has a workload monitoring already: give a `name`"):
            e2e.monitoring.start(env, cadvisor=False)
        assert deleted(controller) == []
        assert len(applied(controller)) == 1


def test_no_scrape_in_time_is_told_and_leaves_nothing(
    controller: FakeController, prometheus: Prometheus, later: Later
) -> None:
    prometheus.is_scraped = False
    later.seconds = 60  # the time is over after one look
    prometheus.targets = [
        {
            "labels": {"job": "test-process", "instance": "test-process"},
            "discoveredLabels": {},
            "scrapeUrl": "http://10.0.0.1:1/metrics",
            "lastError": "context deadline exceeded",
            "lastScrape": "2026-01-02T03:04:05Z",
            "lastScrapeDuration": 1,
            "health": "down",
        }
    ]
    with Environment("env") as env:
        with pytest.raises(e2e.WaitTimeout) as failed:
            e2e.monitoring.start(env, cadvisor=False, timeout=50)
        assert deleted(controller) == ["monitoring"]
        prometheus.targets = []
        with pytest.raises(e2e.WaitTimeout, match="Prometheus has no target of job test-process yet"):
            e2e.monitoring.start(env, cadvisor=False, timeout=50)
    lines = str(failed.value).splitlines()
    assert lines[0].startswith(
        'test-process was not scraped in time: up{job="test-process",instance="test-process"} did not'
    )
    assert lines[-2:] == [
        "  target http://10.0.0.1:1/metrics is down: context deadline exceeded",
        "  a firewall may stand between the environment's network and this machine",
    ]


@pytest.mark.parametrize(
    ("subnet", "text"),
    [
        ("", "the address range of env's network is not known"),
        ("198.51.100.0/24", "no address in the environment"),
    ],
)
def test_a_network_out_of_reach(
    controller: FakeController, prometheus: Prometheus, subnet: str, text: str
) -> None:
    controller.answers["ListEnvironments"] = lambda _: iter([network(subnet)])
    with Environment("env") as env:
        with pytest.raises(e2e.Unavailable, match=text):
            e2e.monitoring.start(env, cadvisor=False)
        assert deleted(controller) == ["monitoring"]


def test_what_never_gets_ready_is_told_and_removed(
    controller: FakeController, prometheus: Prometheus
) -> None:
    missing = {
        "type": "Failed",
        "status": "CONDITION_STATUS_TRUE",
        "reason": "ImageFailed",
        "message": "no such",
    }
    failed = ready_object("env", "monitoring", conditions=[missing], container=None)
    default = controller.answers.get("WaitConditions")
    assert default is None

    def wait(request: Any) -> Iterator[Any]:
        if request.keys[0].kind == "Workload" and request.goal == wait_service_pb2.WAIT_GOAL_READY:
            yield wait_service_pb2.WaitConditionsResponse(object=failed)
            raise e2e.WaitFailed("never", details=[wait_service_pb2.WaitFailure(failed=[failed])])
        for key in request.keys:
            yield wait_service_pb2.WaitConditionsResponse(
                object=ready_object(key.environment, key.name), met=True
            )

    controller.answers["WaitConditions"] = wait
    with Environment("env") as env:
        with pytest.raises(e2e.WaitFailed, match="ImageFailed: no such"):
            e2e.monitoring.start(env, cadvisor=False)
        assert deleted(controller) == ["monitoring"]


def test_a_first_scrape_that_is_far_off_is_told(
    controller: FakeController, prometheus: Prometheus, later: Later
) -> None:
    prometheus.is_scraped = False
    later.seconds = 60
    prometheus.targets = [
        {
            "labels": {"job": "test-process", "instance": "test-process"},
            "discoveredLabels": {},
            "scrapeUrl": "http://10.0.0.1:1/metrics",
            "lastError": "",
            "lastScrape": "0001-01-01T00:00:00Z",
            "lastScrapeDuration": 0,
            "health": "unknown",
        }
    ]
    far_off = pytest.raises(e2e.WaitTimeout, match="the first time within the scrape interval of 3600 s")
    with Environment("env") as env, far_off:
        e2e.monitoring.start(env, cadvisor=False, scrape_interval=3600, timeout=50)


async def test_the_asynchronous_twin(controller: FakeController, prometheus: Prometheus) -> None:
    async with AsyncEnvironment("env") as env:
        async with await e2e.monitoring.start(env, cadvisor=False) as monitoring:
            assert isinstance(monitoring, AsyncMonitoring)
            assert (await monitoring.query("up")).value == 1
        assert deleted(controller) == ["monitoring"]
        await e2e.monitoring.start(env, cadvisor=False)
    assert deleted(controller) == ["monitoring"]


async def test_a_start_that_is_cancelled_leaves_nothing(
    controller: FakeController, prometheus: Prometheus
) -> None:
    prometheus.is_scraped = False
    async with AsyncEnvironment("env") as env:
        starting = asyncio.create_task(e2e.monitoring.start(env, cadvisor=False))
        while not prometheus.queries:  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert deleted(controller) == ["monitoring"]


def test_a_cadvisor_beside_it(controller: FakeController, prometheus: Prometheus) -> None:
    with Environment("env") as env:
        with e2e.monitoring.start(env, name="watch") as monitoring:
            assert monitoring.cadvisor is not None
            assert monitoring.cadvisor.name == "watch-cadvisor"
            first, second, *_ = applied(controller)
            assert (first.metadata.name, second.metadata.name) == ("watch", "watch-cadvisor")
        assert deleted(controller) == ["watch", "watch-cadvisor"]
    config = yaml.safe_load(files_of(first)["/etc/prometheus/prometheus.yml"] or "")
    everything, usage = config["scrape_configs"]
    assert second.metadata.labels == {"e2e-metrics": "containers"}
    drop = {"source_labels": ["e2e_metrics"], "regex": "containers", "action": "drop"}
    with_credentials = {"source_labels": ["__meta_e2e_auth"], "regex": ".+", "action": "drop"}
    assert everything["relabel_configs"] == [drop, with_credentials]
    assert usage == cadvisor.job("watch-cadvisor:8080", "env")


def test_a_cadvisor_for_an_engine_elsewhere_on_the_machine(
    controller: FakeController, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "current_process_as_container", lambda name, _: Process(name, []))
    with Environment("env") as env:
        e2e.monitoring.start(env, engine_data="/data", engine_socket="/run/user/7/docker.sock")
        e2e.monitoring.start(env, name="other", engine_data="/data", current_process_as_container=True)
    first, second = [found.spec for found in applied(controller) if found.metadata.name.endswith("cadvisor")]
    assert {volume.source for volume in first.volumes} > {"/data/image", "/run/user/7/docker.sock"}
    assert {volume.source for volume in second.volumes} > {"/data/image", "/var/run/docker.sock"}


class Process:
    """This process in a cgroup, which none is made for."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.paths = {"cpu": f"/e2e/{name}", "memory": f"/user.slice/e2e/{name}"}
        self._log = log
        log.append(f"entered {name}")

    def close(self) -> None:
        self._log.append("left")


@pytest.mark.parametrize(("asked", "name"), [(True, "env.test-process"), ("benchmark", "env.benchmark")])
def test_this_process_as_a_container(
    controller: FakeController,
    prometheus: Prometheus,
    monkeypatch: pytest.MonkeyPatch,
    asked: bool | str,
    name: str,
) -> None:
    log: list[str] = []
    monkeypatch.setattr(
        cgroups,
        "current_process_as_container",
        lambda name, environment: Process(f"{environment}.{name}", log),
    )
    with Environment("env") as env:
        with e2e.monitoring.start(env, current_process_as_container=asked):
            assert log == [f"entered {name}"]
            (usage,) = [
                found for found in applied(controller) if found.metadata.name == "monitoring-cadvisor"
            ]
            assert "--raw_cgroup_prefix_whitelist=/e2e,/user.slice/e2e" in (usage.spec.command or ())
        assert log == [f"entered {name}", "left"]


def test_without_permission_nothing_is_started(
    controller: FakeController, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, environment: str) -> None:
        raise cgroups.NotPermitted("may not", ["sudo mkdir"])

    monkeypatch.setattr(cgroups, "current_process_as_container", refuse)
    with Environment("env") as env:
        with pytest.raises(cgroups.NotPermitted, match="sudo mkdir"):
            e2e.monitoring.start(env, current_process_as_container=True)
        assert applied(controller) == []


def test_what_fails_half_way_leaves_the_cgroup(
    controller: FakeController, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    monkeypatch.setattr(
        cgroups,
        "current_process_as_container",
        lambda name, environment: Process(f"{environment}.{name}", log),
    )
    controller.answers["ListEnvironments"] = lambda _: iter([network("")])
    with Environment("env") as env:
        with pytest.raises(e2e.Unavailable):
            e2e.monitoring.start(env, current_process_as_container=True)
        assert log[-1] == "left"
        assert deleted(controller) == ["monitoring", "monitoring-cadvisor"]


def test_a_scrape_has_ten_seconds_at_most() -> None:
    assert configuration(60)["global"]["scrape_timeout"] == "10s"
    assert configuration(0.5)["global"]["scrape_timeout"] == "500ms"


@pytest.mark.parametrize(("seconds", "text"), [(1, "1s"), (0.25, "250ms"), (90, "90s"), (1.5, "1500ms")])
def test_durations_as_prometheus_reads_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
