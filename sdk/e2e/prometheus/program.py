"""How Prometheus is run, whoever runs it."""

IMAGE = "quay.io/prometheus/prometheus:v3.5.0"
PORT = 9090
CONFIG = "/etc/prometheus/prometheus.yml"
RULES = "/etc/prometheus/rules.yml"
DATA = "/prometheus"
READY = "/-/ready"

FLAGS = {
    "--config.file": CONFIG,
    "--storage.tsdb.path": DATA,
    "--web.listen-address": f":{PORT}",
    "--web.enable-lifecycle": "",
    "--log.level": "info",
}
"""Flags that 2.42 and later know; empty is a flag without a value."""


def words(flags: dict[str, str]) -> list[str]:
    """The flags as words of a command line."""
    return [f"{name}={value}" if value else name for name, value in flags.items()]
