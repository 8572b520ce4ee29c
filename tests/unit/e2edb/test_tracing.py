"""How systems are told to send their traces; nothing is started."""

import pytest
import yaml

import e2e
import e2edb


@pytest.fixture
def env() -> e2e.Environment:
    return e2e.Environment("env")


def config_of(workload: e2e.Workload) -> dict[str, object]:
    (file,) = [file for file in workload.manifest.spec.files if file.path.endswith("prometheus.yml")]
    found = yaml.safe_load(file.content or "")
    assert isinstance(found, dict)
    return found


def test_thanos_sends_all_traces_to_the_jaeger(env: e2e.Environment) -> None:
    jaeger = e2edb.jaeger(env, "jaeger")
    query = e2edb.thanos_querier(env, "query-1", tracing=jaeger)
    (flag,) = [word for word in query.manifest.spec.command or () if word.startswith("--tracing.config=")]
    assert yaml.safe_load(flag.partition("=")[2]) == {
        "type": "OTLP",
        "config": {
            "client_type": "grpc",
            "service_name": "query-1",
            "endpoint": "jaeger:4317",
            "insecure": True,
            "sampler_type": "alwayssample",
        },
    }
    assert query.manifest.spec.env == {"OTEL_BSP_SCHEDULE_DELAY": "200"}


def test_without_it_nothing_is_said_of_traces(env: e2e.Environment) -> None:
    prometheus = e2edb.prometheus(env, "prometheus-1")
    query = e2edb.thanos_querier(env, "query-1")
    assert "tracing" not in config_of(prometheus)
    assert not [word for word in query.manifest.spec.command or () if "tracing" in word]
    assert (prometheus.manifest.spec.env, query.manifest.spec.env) == ({}, {})


@pytest.mark.parametrize(
    "config", [None, {"global": {"scrape_interval": "1s"}}, "global: {scrape_interval: 1s}"]
)
def test_prometheus_sends_all_traces_to_any_collector(
    env: e2e.Environment, config: str | dict[str, object] | None
) -> None:
    prometheus = e2edb.prometheus(
        env, "prometheus-1", config=config, tracing="otel:4317", env={"OTEL_BSP_SCHEDULE_DELAY": "50"}
    )
    found = config_of(prometheus)
    assert found["tracing"] == {
        "endpoint": "otel:4317",
        "client_type": "grpc",
        "insecure": True,
        "sampling_fraction": 1.0,
    }
    assert "global" in found
    assert prometheus.manifest.spec.env == {
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=prometheus-1",
    }


def test_a_configuration_of_ones_own_keeps_its_tracing(env: e2e.Environment) -> None:
    own = {"tracing": {"endpoint": "elsewhere:4317"}}
    assert config_of(e2edb.prometheus(env, "p", config=own, tracing="otel:4317")) == own
    with pytest.raises(e2e.InvalidArgument, match="not a mapping"):
        e2edb.prometheus(env, "p", config="- a", tracing="otel:4317")
    with pytest.raises(e2e.InvalidArgument, match="not YAML"):
        e2edb.prometheus(env, "p", config="{", tracing="otel:4317")
