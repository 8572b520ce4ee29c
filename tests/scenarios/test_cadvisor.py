"""A cAdvisor that is not privileged: what it tells of the environment's own containers, and of no others."""

import pytest
from small import BUSYBOX, until_stopped

import e2e
import e2edb
from e2e import greater
from e2e.monitoring import Vector

CHUNK = 40 * 2**20
BUSY = f"head -c {CHUNK} /dev/zero | tail -c {CHUNK} | (sleep 600; cat) & while true; do :; done"
SERIES = (
    "container_memory_working_set_bytes",
    "container_cpu_usage_seconds_total",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
    "container_start_time_seconds",
    "container_spec_memory_limit_bytes",
)
SECONDS = 120.0

pytestmark = pytest.mark.timeout(1200)


def prometheus_for(env: e2e.Environment, usage: e2e.Workload) -> e2e.Workload:
    job = e2e.cadvisor.job(usage.internal_endpoint("http"), env.name)
    config = {"global": {"scrape_interval": "3s", "scrape_timeout": "3s"}, "scrape_configs": [job]}
    return e2edb.prometheus(env, "prometheus", config=config)


def test_what_each_workload_uses_is_told_under_its_name(e2e_environment: e2e.Environment) -> None:
    with e2e.Environment() as other:
        stranger = other.workload("stranger", image=BUSYBOX, command=until_stopped())
        usage = e2edb.cadvisor(e2e_environment, "usage")
        prometheus = prometheus_for(e2e_environment, usage)
        limits = e2e.Resources(memory="128Mi", cpus=0.2)
        busy = e2e_environment.workload("busy", image=BUSYBOX, command=["sh", "-c", BUSY], resources=limits)
        stranger.start()
        e2e_environment.start_and_wait_ready(usage, prometheus, busy)
        usage.wait_sum_metrics(greater(0), "machine_memory_bytes")
        ask = e2e.Queries(prometheus)
        names = {"usage", "prometheus", "busy"}
        for series in SERIES:
            by_name = f"sum by (workload) ({series})"
            ask.wait_query(by_name, lambda found: found.by("workload").keys() == names, SECONDS)
        memory = 'max_over_time(container_memory_working_set_bytes{workload="busy"}[1m])'
        ask.wait_query(memory, greater(CHUNK), SECONDS)
        ask.wait_query(
            'rate(container_cpu_usage_seconds_total{workload="busy"}[30s])', greater(0.01), SECONDS
        )
        bound = ask.wait_query('container_spec_memory_limit_bytes{workload="busy"}', greater(0), SECONDS)
        assert isinstance(bound, Vector)
        (sample,) = bound
        assert sample.value == 128 * 2**20
        assert not [label for label in sample.labels if label.startswith("container_label")]
        busy.remove()
        ask.wait_query('absent(container_memory_working_set_bytes{workload="busy"})', greater(0), SECONDS)
