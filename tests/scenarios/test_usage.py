"""What containers and this process use, as cAdvisor sees it, and monitoring from a folder of manifests."""

import uuid
from pathlib import Path

import pytest
from apis import until
from controllers import Controller
from prometheus_client import CollectorRegistry
from small import BUSYBOX, until_stopped

import e2e
from e2e import catalog, greater
from e2e.cli.program import run
from e2e.monitoring import Vector

PATIENCE = 90.0


def test_what_containers_use_is_under_their_workloads_names() -> None:
    with e2e.Environment(timeout=PATIENCE) as env:
        busy = env.workload("busy", image=BUSYBOX, command=until_stopped())
        busy.start_and_wait_ready()
        with e2e.monitoring.start(env, registry=CollectorRegistry()) as monitoring:
            memory = monitoring.wait_query(
                'container_memory_working_set_bytes{job="cadvisor",name!=""}',
                # What is told of a container at first may be what it used before its program began.
                lambda found: (
                    {"busy", "monitoring", "monitoring-cadvisor"} <= found.by("workload").keys()
                    and found.by("workload")["monitoring"] > 10 * 2**20
                ),
            )
            assert memory.by("workload").keys() == env.statuses().keys()
            assert isinstance(memory, Vector)
            assert {sample.labels["environment"] for sample in memory} == {env.name}
            monitoring.wait_query('rate(container_cpu_usage_seconds_total{workload="busy"}[5s])', greater(0))
            up = until(lambda: cadvisor_of(monitoring), lambda found: found.is_up)
            assert up.job == "cadvisor"
            busy.remove()
            monitoring.wait_query(
                'container_memory_working_set_bytes{name!=""}',
                lambda found: "busy" not in found.by("workload"),
            )


def cadvisor_of(monitoring: e2e.monitoring.Monitoring) -> e2e.monitoring.ScrapeTarget:
    (found,) = [target for target in monitoring.targets() if target.instance.endswith("cadvisor:8080")]
    return found


def test_this_process_is_shown_like_a_container() -> None:
    with e2e.Environment(timeout=PATIENCE) as env:
        try:
            monitoring = e2e.monitoring.start(
                env, registry=CollectorRegistry(), current_process_as_container=f"test-{uuid.uuid4().hex[:8]}"
            )
        except e2e.cgroups.CgroupError as error:
            pytest.skip(f"this user may not: {error}")
        with monitoring:
            assert monitoring.process is not None
            name = monitoring.process.name
            query = f'container_memory_working_set_bytes{{workload="{name}"}}'
            held = b"x" * (50 * 2**20)  # what it had before is counted where it was before
            assert monitoring.wait_query(query, greater(50 * 2**20)).value > len(held)
            assert Path("/proc/self/cgroup").read_text().count(f"/e2e/{env.name}.{name}")
        assert Path("/proc/self/cgroup").read_text().count(f"/e2e/{env.name}.{name}") == 0


def test_monitoring_from_a_folder(controller: Controller, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed manifests are applied by dropping them; then nothing is left to change."""
    name = f"watched-{uuid.uuid4().hex[:8]}"
    folder = controller.folder / name
    folder.mkdir()
    assert run(["catalog", "monitoring", "--env", name]) == 0
    printed = capsys.readouterr().out
    (folder / "monitoring.yaml").write_text(printed)
    assert catalog.manifests("monitoring", name) == printed
    with e2e.Environment.attach(name, controller=controller.address, timeout=PATIENCE) as env:
        prometheus = env.get("monitoring", wait=PATIENCE)
        env.wait_ready("monitoring", "monitoring-cadvisor")
        queries = e2e.Queries(prometheus)
        (folder / "web.yaml").write_text(WEB)
        queries.wait_query('web_jobs{job="web"}', greater(0))
        queries.wait_query('container_memory_working_set_bytes{workload="web"}', greater(0))
        (folder / "web.yaml").unlink()
        queries.wait_query("up", lambda found: "web" not in found.by("job"))
    arguments = ["--controller", controller.address, "diff", "-f", str(controller.folder)]
    assert run(arguments) == 0, capsys.readouterr()


WEB = """\
apiVersion: e2e/v1
kind: Workload
metadata: {name: web}
spec:
  image: docker.io/library/busybox:1.36
  command: [httpd, -f, -p, "8080", -h, /www]
  stop: {signal: SIGKILL}
  ports: {http: 8080}
  files: [{path: /www/metrics.txt, content: "web_jobs 4\\n"}]
  metrics: {port: http, path: /metrics.txt}
"""
