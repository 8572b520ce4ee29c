"""The configuration with which one Prometheus watches an environment. Pure."""

from typing import Any

from e2e import cadvisor as usage
from e2e.prometheus.program import RULES

TARGETS = "/etc/prometheus/targets"
WORKLOADS_FILE = f"{TARGETS}/workloads.json"
"""The instrumented workloads; the controller keeps it current."""
PROCESS_FILE = f"{TARGETS}/test-process.json"
"""The test process, and the controller's metrics that it passes on."""

ENVIRONMENT_JOB = "environment"
PROCESS_JOB, CONTROLLER_JOB = "test-process", "e2e-controller"
METRICS_PATH, CONTROLLER_PATH = "/metrics", "/controller/metrics"

_LONGEST_TIMEOUT = 10.0
_REFRESH = "1s"


def configuration(
    scrape_interval: float,
    *,
    process: bool = False,
    rules: bool = False,
    cadvisor: str = "",
    environment: str = "",
) -> dict[str, Any]:
    """A `prometheus.yml` that scrapes what the files of targets say.

    Args:
        scrape_interval: seconds.
        process: whether there is a file of the test process' targets.
        rules: whether there is a file of rules.
        cadvisor: the name of the workload that is a cAdvisor; empty where there is none.
        environment: whose containers it shows; empty for those of all environments of the machine.
    """
    interval = duration(scrape_interval)
    files = [WORKLOADS_FILE, *([PROCESS_FILE] if process else [])]
    jobs: list[dict[str, Any]] = [
        {
            "job_name": ENVIRONMENT_JOB,
            "file_sd_configs": [{"files": files, "refresh_interval": _REFRESH}],
            # Nobody but the environment's own containers is in its network.
            "tls_config": {"insecure_skip_verify": True},
            "relabel_configs": [_without_cadvisors(), _without_credentials()],
        }
    ]
    if cadvisor:
        jobs.append({**usage.job(f"{cadvisor}:{usage.PORT}", environment)})
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": duration(min(scrape_interval, _LONGEST_TIMEOUT)),
            "evaluation_interval": interval,
        },
        **({"rule_files": [RULES]} if rules else {}),
        "scrape_configs": jobs,
    }


def _without_cadvisors() -> dict[str, Any]:
    """Of all there may be the job of one alone tells, and in the names of those whom it tells about."""
    label, value = usage.MARK
    return {"source_labels": [label.replace("-", "_")], "regex": value, "action": "drop"}


def _without_credentials() -> dict[str, Any]:
    """Pages that ask for some have jobs of their own, which the controller adds to this configuration."""
    return {"source_labels": ["__meta_e2e_auth"], "regex": ".+", "action": "drop"}


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
