"""The configuration with which one Prometheus watches an environment. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

TARGETS = "/etc/prometheus/targets"
WORKLOADS_FILE = f"{TARGETS}/workloads.json"
"""The instrumented workloads; the controller keeps it current."""
PROCESS_FILE = f"{TARGETS}/test-process.json"
"""The test process, and the controller's metrics that it passes on."""
RULES_FILE = "/etc/prometheus/rules.yml"

ENVIRONMENT_JOB = "environment"
PROCESS_JOB, CONTROLLER_JOB, CADVISOR_JOB = "test-process", "e2e-controller", "cadvisor"
METRICS_PATH, CONTROLLER_PATH = "/metrics", "/controller/metrics"

_LONGEST_TIMEOUT = 10.0
_REFRESH = "1s"

Rule = Mapping[str, Any]
"""One of Prometheus' relabelling rules."""


def configuration(
    scrape_interval: float,
    *,
    process: bool = False,
    rules: bool = False,
    cadvisor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A `prometheus.yml` that scrapes what the files of targets say.

    Args:
        scrape_interval: seconds.
        process: whether there is a file of the test process' targets.
        rules: whether there is a file of rules.
        cadvisor: the job of a cAdvisor, which `cadvisor_job` makes.
    """
    interval = duration(scrape_interval)
    files = [WORKLOADS_FILE, *([PROCESS_FILE] if process else [])]
    jobs = [
        {
            "job_name": ENVIRONMENT_JOB,
            "file_sd_configs": [{"files": files, "refresh_interval": _REFRESH}],
            # Nobody but the environment's own containers is in its network.
            "tls_config": {"insecure_skip_verify": True},
        },
        *([cadvisor] if cadvisor else []),
    ]
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": duration(min(scrape_interval, _LONGEST_TIMEOUT)),
            "evaluation_interval": interval,
        },
        **({"rule_files": [RULES_FILE]} if rules else {}),
        "scrape_configs": jobs,
    }


def cadvisor_job(address: str, relabelling: Sequence[Rule]) -> dict[str, Any]:
    """The job that scrapes a cAdvisor at `host:port`; `relabelling` says which workload each series is of."""
    labels = {"instance": address}
    return {
        "job_name": CADVISOR_JOB,
        "static_configs": [{"targets": [address], "labels": labels}],
        "metric_relabel_configs": [dict(rule) for rule in relabelling],
    }


def process_targets(address: str, environment: str) -> list[dict[str, Any]]:
    """The test process at `host:port`, and the controller through it, as `file_sd` takes them."""

    def target(job: str, path: str) -> dict[str, Any]:
        labels = {"job": job, "instance": job, "environment": environment, "__metrics_path__": path}
        return {"targets": [address], "labels": labels}

    return [target(PROCESS_JOB, METRICS_PATH), target(CONTROLLER_JOB, CONTROLLER_PATH)]


def duration(seconds: float) -> str:
    """As Prometheus writes it, to the millisecond: `1s`, `500ms`."""
    milliseconds = max(1, round(seconds * 1000))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
