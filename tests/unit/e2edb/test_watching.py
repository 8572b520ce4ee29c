"""What watches an environment from a folder."""

import yaml

import e2e
import e2edb


def test_it_scrapes_all_that_is_instrumented_and_one_environments_containers(env: e2e.Environment) -> None:
    prometheus, usage = e2edb.monitoring(env, "watch", scrape_interval=5, environment="shop")
    assert (prometheus.name, usage.name) == ("watch", "watch-cadvisor")
    files = {file.path: file for file in prometheus.manifest.spec.files}
    config = yaml.safe_load(files["/etc/prometheus/prometheus.yml"].content or "")
    everything, containers = config["scrape_configs"]
    (path,) = everything["file_sd_configs"][0]["files"]
    assert files[path].from_ == "MetricTargets"
    assert containers == e2e.cadvisor.job("watch-cadvisor:8080", "shop")
    assert config["global"]["scrape_interval"] == "5s"
    assert "rule_files" not in config


def test_an_engine_elsewhere_on_the_machine(env: e2e.Environment) -> None:
    _, usage = e2edb.monitoring(env, engine_data="/data", engine_socket="/run/docker.sock")
    sources = {volume.source for volume in usage.manifest.spec.volumes}
    assert {"/data/image", "/run/docker.sock"} < sources


def test_rules_as_text(env: e2e.Environment) -> None:
    prometheus, _ = e2edb.monitoring(env, rules="groups: []\n")
    files = {file.path: file.content for file in prometheus.manifest.spec.files}
    assert files["/etc/prometheus/rules.yml"] == "groups: []\n"
    assert "rule_files" in (files["/etc/prometheus/prometheus.yml"] or "")
