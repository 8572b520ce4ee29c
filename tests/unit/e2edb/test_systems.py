"""What the other systems are told; nothing is started."""

import json
from configparser import ConfigParser
from pathlib import Path

import pytest

import e2e
import e2edb
from e2e_api.parsing import parse_documents

from .manifests import config_of, file_of, flags_of, yaml_of

BUCKET = {"type": "FILESYSTEM", "config": {"directory": "/bucket"}}
RULES = {"groups": [{"name": "g", "rules": [{"record": "a", "expr": "1"}]}]}


def test_a_sidecar_that_uploads_shares_the_blocks_and_their_owner(env: e2e.Environment) -> None:
    prometheus = e2edb.prometheus(env, "p")
    quiet = e2edb.thanos_sidecar(env, "s1", prometheus)
    uploading = e2edb.thanos_sidecar(env, "s2", prometheus, objstore_config=BUCKET)
    assert (quiet.manifest.spec.volumes, quiet.manifest.spec.user) == ((), "")
    assert "--objstore.config" not in flags_of(quiet)
    assert uploading.manifest.spec.volumes == prometheus.manifest.spec.volumes
    assert uploading.manifest.spec.user == "65534"
    assert flags_of(uploading)["--tsdb.path"] == flags_of(prometheus)["--storage.tsdb.path"]
    assert yaml_of(flags_of(uploading)["--objstore.config"][0]) == BUCKET
    own = e2edb.thanos_sidecar(env, "s3", prometheus, objstore_config=BUCKET, user="1000")
    assert own.manifest.spec.user == "1000"


def test_a_receiver_alone_and_in_a_hashring(env: e2e.Environment) -> None:
    alone = e2edb.thanos_receive(env, "receive-1")
    assert not [flag for flag in flags_of(alone) if flag.startswith("--receive.")]
    assert flags_of(alone)["--label"] == ['receive="receive-1"']
    one = e2edb.thanos_receive(
        env,
        "receive-1",
        hashring=["receive-1", "receive-2"],
        replication_factor=2,
        external_labels={"a": "b"},
    )
    flags = flags_of(one)
    assert flags["--receive.local-endpoint"] == [one.internal_endpoint("grpc")]
    assert json.loads(flags["--receive.hashrings"][0]) == [
        {"endpoints": [{"address": "receive-1:10901"}, {"address": "receive-2:10901"}]}
    ]
    assert flags["--receive.replication-factor"] == ["2"]
    assert flags["--label"] == ['a="b"']


def test_a_ruler_asks_queriers_and_tells_alertmanagers(env: e2e.Environment) -> None:
    rule = e2edb.thanos_rule(env, "rule", ["query:10902"], RULES, alertmanagers=["alertmanager:9093"])
    flags = flags_of(rule)
    assert flags["--query"] == ["query:10902"]
    assert flags["--alertmanagers.url"] == ["http://alertmanager:9093"]
    assert config_of(rule, flags["--rule-file"][0]) == RULES


def test_those_without_a_grpc_api_have_no_such_port(env: e2e.Environment) -> None:
    querier = e2edb.thanos_querier(env, "query", [e2edb.thanos_receive(env, "receive"), "other:10901"])
    assert flags_of(querier)["--endpoint"] == ["receive:10901", "other:10901"]
    frontend = e2edb.thanos_query_frontend(env, "frontend", querier)
    compact = e2edb.thanos_compact(env, "compact", BUCKET)
    for workload in (frontend, compact):
        assert set(workload.manifest.spec.ports) == {"http"}
        assert not [flag for flag in flags_of(workload) if "grpc" in flag]
    assert flags_of(frontend)["--query-frontend.downstream-url"] == ["http://query:10902"]
    cache = yaml_of(flags_of(frontend)["--query-range.response-cache-config"][0])
    assert cache == {"type": "IN-MEMORY", "config": {"max_size": "64MB"}}


def test_an_alertmanager_is_alone_unless_told_otherwise(env: e2e.Environment) -> None:
    cluster = "--cluster.listen-address"
    assert flags_of(e2edb.alertmanager(env, "a"))[cluster] == [""]
    assert flags_of(e2edb.alertmanager(env, "a", flags={cluster: ":9094"}))[cluster] == [":9094"]
    assert cluster not in flags_of(e2edb.alertmanager(env, "a", flags={cluster: None}))


def test_minio_and_what_thanos_knows_of_it(env: e2e.Environment) -> None:
    minio = e2edb.minio(env, "minio", buckets=["one", "two"], access_key="me", secret_key="it's secret")
    shell, command = minio.manifest.spec.entrypoint or (), minio.manifest.spec.command or ()
    assert shell[3:] == ("sh", "/data", "/data/one", "/data/two", "--")
    assert (command[:3], command[-1]) == (("minio", "server", "--address=:9000"), "/data")
    assert e2edb.objstore_config(minio, "two") == {
        "type": "S3",
        "config": {
            "bucket": "two",
            "endpoint": "minio:9000",
            "access_key": "me",
            "secret_key": "it's secret",
            "insecure": True,
        },
    }


def test_what_thanos_knows_of_a_minio_whose_key_is_a_secret(env: e2e.Environment) -> None:
    def password(secret: e2e.Secret, name: str) -> object:
        minio = e2edb.minio(env, name, env={"MINIO_ROOT_PASSWORD": secret})
        return e2edb.objstore_config(minio)["config"]["secret_key"]

    assert password(e2e.Secret(value="geheim-1"), "one") == "geheim-1"
    with pytest.raises(e2e.InvalidArgument, match="MINIO_ROOT_PASSWORD of two is known"):
        password(e2e.Secret(file="minio-password"), "two")


def test_minio_with_a_certificate(env: e2e.Environment) -> None:
    minio = e2edb.minio(env, "minio", certificate=e2edb.Certificate("the certificate", "the key"))
    assert set(minio.manifest.spec.ports) == {"https"}
    (folder,) = [word.partition("=")[2] for word in minio.manifest.spec.command or () if "certs-dir" in word]
    assert file_of(minio, f"{folder}/public.crt").content == "the certificate"
    key = file_of(minio, f"{folder}/private.key")
    assert (key.content, key.mode) == ("the key", 0o600)
    metrics = minio.manifest.spec.metrics
    assert metrics is not None
    assert (metrics.port, metrics.scheme) == ("https", "https")
    config = e2edb.objstore_config(minio, ca_file="/ca.pem")["config"]
    assert config["insecure"] is False
    assert config["http_config"] == {"tls_config": {"ca_file": "/ca.pem"}}
    assert "the key" not in repr(e2edb.Certificate("the certificate", "the key"))


def test_grafana_has_its_datasources(env: e2e.Environment) -> None:
    prometheus = e2edb.prometheus(env, "p")
    own = {"name": "logs", "type": "loki", "url": "http://loki:3100"}
    grafana = e2edb.grafana(env, "grafana", [prometheus, own])
    provisioned = config_of(grafana, "/etc/grafana/provisioning/datasources/e2e.yaml")
    assert provisioned == {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "p",
                "uid": "p",
                "type": "prometheus",
                "access": "proxy",
                "url": "http://p:9090",
                "isDefault": True,
                "jsonData": {"timeInterval": "1s"},
            },
            own,
        ],
    }
    spec = grafana.manifest.spec
    assert (spec.image, spec.ports["http"].container_port) == ("docker.io/grafana/grafana:11.6.0", 3000)
    assert spec.readiness is not None
    assert spec.readiness.http is not None
    assert spec.readiness.http.path == "/api/health"
    settings = ConfigParser()
    settings.read_string(file_of(grafana, "/etc/grafana/grafana.ini").content or "")
    assert settings["server"]["http_port"] == "3000"
    assert dict(settings["auth.anonymous"]) == {"enabled": "true", "org_role": "Admin"}


@pytest.mark.parametrize(("text", "served"), [("a 1", "a 1\n"), ("a 1\n", "a 1\n"), ("", "")])
def test_static_metrics_end_as_the_format_asks(env: e2e.Environment, text: str, served: str) -> None:
    static = e2edb.static_metrics(env, "static", text)
    assert type(static) is e2edb.StaticMetrics
    assert file_of(static, "/www/metrics/index.txt").content == served
    assert type(e2edb.static_metrics(e2e.AsyncEnvironment("env"), "s", text)) is e2edb.AsyncStaticMetrics


def test_every_system_takes_what_any_container_does(env: e2e.Environment) -> None:
    made = [
        e2edb.alertmanager(env, "w", labels={"a": "b"}, image="other:1"),
        e2edb.grafana(env, "w", [], labels={"a": "b"}, image="other:1"),
        e2edb.minio(env, "w", labels={"a": "b"}, image="other:1"),
        e2edb.prometheus(env, "w", labels={"a": "b"}, image="other:1"),
        e2edb.static_metrics(env, "w", "", labels={"a": "b"}, image="other:1"),
        e2edb.thanos_compact(env, "w", BUCKET, labels={"a": "b"}, image="other:1"),
        e2edb.thanos_receive(env, "w", labels={"a": "b"}, image="other:1"),
        e2edb.thanos_rule(env, "w", [], RULES, labels={"a": "b"}, image="other:1"),
    ]
    for workload in made:
        manifest = workload.manifest
        assert (manifest.metadata.labels, manifest.spec.image) == ({"a": "b"}, "other:1")


def test_all_can_be_written_down_as_manifests_of_a_folder() -> None:
    blueprint = e2e.Blueprint("env")
    minio = e2edb.minio(blueprint, "minio", certificate=e2edb.Certificate("certificate\n", "key\n"))
    bucket = e2edb.objstore_config(minio)
    prometheus = e2edb.prometheus(blueprint, "prometheus", rules=RULES)
    sidecar = e2edb.thanos_sidecar(blueprint, "sidecar", prometheus, objstore_config=bucket)
    receive = e2edb.thanos_receive(blueprint, "receive", hashring=["receive"])
    querier = e2edb.thanos_querier(blueprint, "query", [sidecar, receive])
    e2edb.thanos_query_frontend(blueprint, "frontend", querier)
    e2edb.thanos_store(blueprint, "store", bucket)
    e2edb.thanos_compact(blueprint, "compact", bucket)
    e2edb.thanos_rule(blueprint, "rule", [querier], RULES)
    e2edb.alertmanager(blueprint, "alertmanager")
    e2edb.grafana(blueprint, "grafana", [prometheus])
    e2edb.static_metrics(blueprint, "static", "a 1")
    parsed = list(parse_documents(blueprint.to_yaml().encode()))
    assert not [document.problems for document in parsed if document.problems]
    assert [document.manifest for document in parsed] == [
        manifest.model_copy(update={"metadata": manifest.metadata.model_copy(update={"environment": "env"})})
        for manifest in blueprint.manifests
    ]


def test_the_documentation_lists_every_system() -> None:
    text = (Path(__file__).parents[3] / "docs" / "e2edb.md").read_text()
    helpers = {"objstore_config", "remote_write_url"}
    systems = {name for name in e2edb.__all__ if name.islower()} - helpers
    assert systems == {name for name in systems if f"\n| `{name}(env" in text}
