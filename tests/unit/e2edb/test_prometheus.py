"""What a Prometheus is told by its configuration; nothing is started."""

from typing import Any

import pytest

import e2e
import e2edb

from .manifests import config_of, file_of

RULES = {"groups": [{"name": "g", "rules": [{"record": "a", "expr": "1"}]}]}


def test_each_kind_of_environment_has_its_own_kind_of_prometheus(env: e2e.Environment) -> None:
    assert type(e2edb.prometheus(env, "p")) is e2edb.Prometheus
    asynchronous = e2edb.prometheus(e2e.AsyncEnvironment("env"), "p")
    assert type(asynchronous) is e2edb.AsyncPrometheus
    assert asynchronous.manifest == e2edb.prometheus(env, "p").manifest


def test_an_environment_of_another_kind_gives_what_it_gives() -> None:
    class Noting:
        def workload(self, name: str, **options: Any) -> tuple[str, Any]:
            return name, options["image"]

    assert e2edb.prometheus(Noting(), "p") == ("p", e2edb.PROMETHEUS_IMAGE)  # type: ignore[call-overload]


def test_what_is_given_becomes_part_of_the_configuration(env: e2e.Environment) -> None:
    receive = e2edb.thanos_receive(env, "receive")
    alertmanager = e2edb.alertmanager(env, "alertmanager")
    assert e2edb.remote_write_url(receive) == "http://receive:19291/api/v1/receive"
    prometheus = e2edb.prometheus(
        env,
        "p",
        rules=RULES,
        remote_write=[receive, "http://text/write", {"url": "http://elsewhere/write"}],
        alertmanagers=[alertmanager, "other:9093"],
    )
    config = config_of(prometheus)
    assert config["global"]["external_labels"] == {"prometheus": "p"}
    assert config["rule_files"] == ["/etc/prometheus/rules.yml"]
    assert [target["url"] for target in config["remote_write"]] == [
        e2edb.remote_write_url(receive),
        "http://text/write",
        "http://elsewhere/write",
    ]
    told = ["alertmanager:9093", "other:9093"]
    assert config["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": told}]}]
    assert config_of(prometheus, "/etc/prometheus/rules.yml") == RULES


def test_a_configuration_of_ones_own_is_added_to_and_not_overruled(env: e2e.Environment) -> None:
    own = {"rule_files": ["/rules/*.yml"], "scrape_configs": []}
    prometheus = e2edb.prometheus(env, "p", config=own, rules=RULES, remote_write=["http://a/write"])
    config = config_of(prometheus)
    assert config.pop("remote_write")
    assert config == own


def test_a_text_to_which_nothing_is_added_stays_as_it_is(env: e2e.Environment) -> None:
    text = "# mine\nscrape_configs: []\n"
    assert file_of(e2edb.prometheus(env, "p", config=text), "/etc/prometheus/prometheus.yml").content == text


def test_files_and_volumes_of_ones_own_win(env: e2e.Environment) -> None:
    own = e2e.Volume(source="mine", target="/prometheus")
    files = {"/etc/prometheus/prometheus.yml": "{}", "/etc/more": "x"}
    prometheus = e2edb.prometheus(env, "p", volumes=[own], files=files)
    assert prometheus.manifest.spec.volumes == (own,)
    assert {file.path: file.content for file in prometheus.manifest.spec.files} == {
        **files,
        "/etc/prometheus/rules.yml": "groups: []\n",
    }


def test_wrong_rules_are_told_at_once(env: e2e.Environment) -> None:
    with pytest.raises(e2e.InvalidArgument, match="not YAML"):
        e2edb.prometheus(env, "p", rules="groups: [")
