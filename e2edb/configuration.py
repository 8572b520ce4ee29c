"""What a `prometheus.yml` and its rules are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from e2e import Linked
from e2e.prometheus import program
from e2edb.parts import Config, Target, addresses_of, as_mapping
from e2edb.tracing import Tracing, otlp_address

CONFIG_FILE = program.CONFIG
RULES_FILE = program.RULES
NO_RULES: Config = {"groups": []}


def scraping_itself(address: str, external_labels: Mapping[str, str]) -> Mapping[str, Any]:
    """A Prometheus that scrapes only itself, every second, as job `myself`."""
    job = {
        "job_name": "myself",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [address]}],
    }
    # Rules as often as the samples that they are about, not once a minute.
    overall = {"evaluation_interval": "1s", "external_labels": dict(external_labels)}
    return {"global": overall, "scrape_configs": [job]}


def with_defaults(config: Config, defaults: Mapping[str, Any]) -> Config:
    """The configuration with those of the defaults' top-level keys that it does not have itself."""
    if not defaults:
        return config
    found = as_mapping(config)
    return {**found, **{key: value for key, value in defaults.items() if key not in found}}


def with_rules(config: Config, rules: Config) -> Config:
    """The configuration with the file of rules, unless there are none, or it says itself where they are."""
    has_rules = bool(as_mapping(rules).get("groups"))
    return with_defaults(config, {"rule_files": [RULES_FILE]} if has_rules else {})


def with_tracing(config: Config, tracing: Tracing) -> Config:
    """A `prometheus.yml` that has traces of all requests sent there, unless it says itself where to."""
    block = {"endpoint": otlp_address(tracing), "client_type": "grpc", "insecure": True}
    return with_defaults(config, {"tracing": {**block, "sampling_fraction": 1.0}})


def connections(
    remote_write: Sequence[Linked | Config], alertmanagers: Sequence[Target]
) -> Mapping[str, Any]:
    """Where samples and alerts are sent to, as top-level keys of a `prometheus.yml`."""
    found: dict[str, Any] = {}
    if remote_write:
        found["remote_write"] = [_remote_write(target) for target in remote_write]
    if alertmanagers:
        targets = addresses_of(alertmanagers, "http")
        found["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": targets}]}]}
    return found


def remote_write_url(receive: Linked) -> str:
    """Where others of the environment send their samples to; of a workload with port `remote-write`."""
    return f"http://{receive.internal_endpoint('remote-write')}/api/v1/receive"


def _remote_write(target: Linked | Config) -> Mapping[str, Any]:
    if isinstance(target, Mapping):
        return target
    url = target if isinstance(target, str) else remote_write_url(target)
    # Samples are sent within half a second, not only once there are many of them or 5 s have passed.
    return {"url": url, "queue_config": {"batch_send_deadline": "500ms"}}
