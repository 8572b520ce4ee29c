"""Monitoring in one call, with the real Prometheus: who is scraped, who is not, and what is left."""

import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from apis import until
from prometheus_client import CollectorRegistry, Gauge
from small import BUSYBOX, until_stopped

import e2e
import e2edb
from e2e import equals, greater
from e2e.monitoring import Monitoring, ScrapeTarget, Vector
from tests.conftest import IS_BESIDE

PATIENCE = 90.0
"""Seconds for what takes Prometheus ten on an idle machine."""
JOBS_WAIT = {"alert": "JobsWait", "expr": "jobs > 3", "labels": {"severity": "page"}}
RULES = {"groups": [{"name": "rules", "rules": [JOBS_WAIT]}]}
NOTHING_TO_SERVE = "nothing-like-it.invalid/prometheus:v0"


@dataclass
class Watched:
    """An environment with a workload and its monitoring, and a metric of this process'."""

    env: e2e.Environment
    web: e2edb.StaticMetrics
    monitoring: Monitoring
    own: Gauge

    @property
    def page(self) -> str:
        """Where Prometheus scrapes this process."""
        (found,) = [target.url for target in self.monitoring.targets() if target.job == "test-process"]
        return found


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    registry = CollectorRegistry()
    own = Gauge("progress", "How far the test is.", registry=registry)
    own.set(0.5)
    with e2e.Environment(timeout=PATIENCE) as env:
        web = e2edb.static_metrics(
            env, "web", "# TYPE jobs gauge\njobs 4\n", labels={"app.kubernetes.io/name": "shop"}
        )
        web.start_and_wait_ready()
        with e2e.monitoring.start(env, cadvisor=False, registry=registry, rules=RULES) as monitoring:
            yield Watched(env, web, monitoring, own)


def test_this_process_is_scraped_when_it_has_started(watched: Watched) -> None:
    found = watched.monitoring.query("last_over_time(progress[1h])")  # the scrape since may have failed
    assert isinstance(found, Vector)
    (sample,) = found
    labels = {"job": "test-process", "instance": "test-process", "environment": watched.env.name}
    assert sample.labels == {"__name__": "progress", **labels}
    assert sample.value == 0.5
    watched.own.set(0.75)
    assert watched.monitoring.wait_query("progress", equals(0.75)).value == 0.75


def test_the_controllers_own_metrics(watched: Watched) -> None:
    found = watched.monitoring.wait_query('e2e_leases{job="e2e-controller"}', greater(0))
    assert found.by("instance").keys() == {"e2e-controller"}


def test_workloads_come_and_go(watched: Watched) -> None:
    """Those that were there already, those that come later; those that go are forgotten."""
    monitoring, env = watched.monitoring, watched.env
    (web,) = monitoring.wait_query('jobs{job="web"}', equals(4)).samples  # type: ignore[attr-defined]
    assert web.labels == {
        "__name__": "jobs",
        "job": "web",
        "instance": "web:8080",
        "environment": env.name,
        "workload": "web",
        "app_kubernetes_io_name": "shop",
    }
    assert monitoring.wait_query('up{job="monitoring"}', equals(1))
    late = e2edb.static_metrics(env, "late", "jobs 1\n")
    late.start_and_wait_ready()
    monitoring.wait_query('jobs{job="late"}', equals(1))
    late.set_metrics("jobs 2\n")
    monitoring.wait_query('jobs{job="late"}', equals(2))
    late.remove()
    monitoring.wait_query("up", lambda found: "late" not in found.by("job"))
    assert "late" not in {target.job for target in monitoring.targets()}


def test_what_dies_is_down_and_not_forgotten(watched: Watched) -> None:
    dying = e2edb.static_metrics(watched.env, "dying", "jobs 1\n")
    dying.start_and_wait_ready()
    watched.monitoring.wait_query('up{job="dying"}', equals(1))
    dying.kill()
    watched.monitoring.wait_query('up{job="dying"}', equals(0))
    (target,) = [target for target in watched.monitoring.targets() if target.job == "dying"]
    assert (target.is_up, bool(target.last_error)) == (False, True)
    dying.start()
    watched.monitoring.wait_query('up{job="dying"}', equals(1))
    dying.remove()


def test_ranges_targets_and_alerts(watched: Watched) -> None:
    monitoring = watched.monitoring
    monitoring.wait_query('count_over_time(jobs{job="web"}[1m])', greater(3))
    end = time.time()
    (series,) = monitoring.query_range('jobs{job="web"}', end - 60, end, 0.5)
    assert series.values[-1] == 4
    assert series.times == tuple(sorted(series.times))
    frame = monitoring.wait_query('jobs{job="web"}', equals(4)).to_pandas()
    assert frame[["job", "value"]].to_numpy().tolist() == [["web", 4.0]]

    def web() -> ScrapeTarget:
        (target,) = [target for target in monitoring.targets() if target.job == "web"]
        return target

    target = until(web, lambda found: found.is_up)
    assert target.url == "http://web:8080/metrics/"
    assert target.last_scrape is not None
    monitoring.wait_query('ALERTS{alertname="JobsWait",job="web"}', equals(1))
    (alert,) = until(
        lambda: [alert for alert in monitoring.alerts() if alert.labels["job"] == "web"], len
    )  # it is gone for a while where a scrape fails
    assert (alert.name, alert.state, alert.value, alert.labels["severity"]) == (
        "JobsWait",
        "firing",
        4,
        "page",
    )


def test_a_wait_in_vain_and_a_wrong_query(watched: Watched) -> None:
    watched.monitoring.wait_query("jobs", greater(0))

    def told() -> str:
        with pytest.raises(e2e.WaitTimeout, match=r"jobs did not become equals\(17\)") as late:
            watched.monitoring.wait_query("jobs", equals(17), timeout=2)
        return str(late.value)

    until(told, re.compile(r'jobs{.*job="web".*} 4').search)  # unless nobody answered, or was scraped
    with pytest.raises(e2e.InvalidArgument, match=r"parse error"):
        watched.monitoring.wait_query("jobs{", equals(17))


def test_the_page_is_for_the_environments_containers_alone(watched: Watched) -> None:
    inside = watched.env.workload("inside", image=BUSYBOX, command=until_stopped())
    inside.start_and_wait_ready()
    assert b"progress" in inside.exec(["wget", "-O", "-", watched.page]).stdout
    with e2e.Environment(timeout=PATIENCE) as other:
        outside = other.workload("outside", image=BUSYBOX, command=until_stopped())
        outside.start_and_wait_ready()
        # The page of a test in a container is in a network that others do not reach at all.
        refused = outside.exec(["timeout", "20", "wget", "-O", "-", watched.page], check=False)
    assert refused.exit_code != 0
    assert IS_BESIDE or "403" in refused.stderr_text
    assert refused.stdout == b""
    with pytest.raises(urllib.error.HTTPError, match="403") as here:
        urllib.request.urlopen(watched.page, timeout=60)
    here.value.close()


def test_promtool_finds_nothing_wrong(watched: Watched) -> None:
    prometheus = watched.monitoring.prometheus
    prometheus.exec(["promtool", "check", "config", "/etc/prometheus/prometheus.yml"])
    inside = watched.env.workload("reader", image=BUSYBOX, command=until_stopped())
    inside.start_and_wait_ready()
    for page in (watched.page, watched.page.replace("/metrics", "/controller/metrics")):
        text = inside.exec(["wget", "-q", "-O", "-", page]).stdout
        assert text
        checked = prometheus.exec(["promtool", "check", "metrics"], stdin=text)
        assert (checked.stdout, checked.stderr) == (b"", b"")


async def test_what_cannot_start_says_why_and_leaves_nothing() -> None:
    async with e2e.AsyncEnvironment(timeout=PATIENCE) as env:
        with pytest.raises(e2e.WaitFailed, match="ImagePullFailed"):
            await e2e.monitoring.start(env, cadvisor=False, image=NOTHING_TO_SERVE)
        assert await env.statuses() == {}


async def test_it_ends_with_its_environment() -> None:
    before = serving_threads()
    async with e2e.AsyncEnvironment(timeout=PATIENCE) as env:
        monitoring = await e2e.monitoring.start(env, cadvisor=False, registry=CollectorRegistry())
        await monitoring.wait_query('up{job="test-process"}', equals(1))
        assert serving_threads() == before + 1
    assert serving_threads() == before
    with pytest.raises(e2e.NotRunning):
        await monitoring.query("up")


def serving_threads() -> int:
    return sum(thread.name == "e2e metrics" for thread in threading.enumerate())


def test_closing_leaves_the_rest_of_the_environment() -> None:
    with e2e.Environment(timeout=PATIENCE) as env:
        env.workload("web", image=BUSYBOX, command=until_stopped()).start()
        e2e.monitoring.start(env, cadvisor=False).close()
        assert list(env.statuses()) == ["web"]
