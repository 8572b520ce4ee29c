"""A measured phase on the real engine: what Prometheus and cAdvisor tell of a web server under load."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from chromium import Chromium
from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from small import BUSYBOX, web_server

import e2e
from e2e import equals, greater
from e2e.cgroups import CgroupError
from e2e.cgroups.hierarchies import own_paths, read_hierarchies
from tests.engine import docker_client
from tests.unit.benchmark.reports import report

PATIENCE = 90.0
LOAD_SECONDS = 5.0
PAGE = 20_000
"""Bytes of a page, at least."""


def put_load_on(web: e2e.Workload, requests: Counter, seconds: float) -> int:
    """Asks for a page for a while, once at least; how often."""
    until, count = time.monotonic() + seconds, 0
    while not count or time.monotonic() < until:
        with urllib.request.urlopen(f"http://{web.endpoint('http')}/page", timeout=60) as answer:
            assert len(answer.read()) >= PAGE
        requests.inc()
        count += 1
    return count


def test_phases_at_rest_under_load_and_with_an_end(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    requests = Counter("requests", "Pages that were asked for.", registry=registry)
    # Not `increase`, which guesses what was between the looks, of which a busy machine may have few.
    grown = "max_over_time(requests_total[$__range]) - min_over_time(requests_total[$__range])"
    queries = {"requests": grown, "rate": "rate(requests_total[1m])"}
    with e2e.Environment(timeout=PATIENCE) as env:
        web = web_server(env, "web")
        web.start_and_wait_ready()
        web.exec(["sh", "-c", f"head -c {PAGE} /dev/zero > /www/page"])
        with e2e.monitoring.start(env, registry=registry) as monitoring:
            monitoring.wait_query('container_cpu_usage_seconds_total{workload="web"}', greater(0))
            monitoring.wait_query("requests_total", equals(0))
            with e2e.benchmark.measure(monitoring, "rest", settle=PATIENCE) as rest:
                time.sleep(2.0)
            with e2e.benchmark.measure(monitoring, "load", queries=queries, settle=PATIENCE) as load:
                count = put_load_on(web, requests, seconds=0)
                monitoring.wait_query("requests_total", equals(count))
                count += put_load_on(web, requests, LOAD_SECONDS)
                monitoring.wait_query("requests_total", equals(count))
                time.sleep(1.5)  # a query has a value for each second
            with e2e.benchmark.measure(monitoring, "end", settle=PATIENCE) as end:
                looked = 'timestamp(container_cpu_usage_seconds_total{workload="web"})'
                monitoring.wait_query(f"{looked} > {time.time()}", greater(0))
                web.kill()
    assert "ended before the phase did: web" in end.report.notes
    assert end.report.of("web").cpu_seconds is not None
    used, idle = load.report.of("web"), rest.report.of("web")
    assert used.source == "cadvisor"
    assert used.cpu_seconds is not None
    assert idle.cpu_seconds is not None
    assert used.cpu_seconds > idle.cpu_seconds
    assert used.network_sent_bytes is not None
    assert used.network_sent_bytes >= count * PAGE
    assert used.memory_peak_bytes is not None
    assert used.memory_mean_bytes is not None
    assert used.memory_peak_bytes >= used.memory_mean_bytes > 0
    own = load.report.of("test-process")
    assert own.cpu_seconds is not None
    assert own.cpu_seconds > 0
    assert load.report.seconds >= LOAD_SECONDS
    assert count - 1 <= load.report.query("requests").only.mean <= count  # the first may have been seen
    assert load.report.query("rate").only.most > 0
    path = load.report.write(tmp_path)
    assert json.loads(path.read_text())["name"] == "load"
    assert "| web |" in path.with_suffix(".md").read_text()
    assert "vegaEmbed" in path.with_suffix(".html").read_text()


def test_a_phase_takes_what_the_kernel_counts() -> None:
    """Whether it is used at the very begin of a phase or at its very end; and nothing of what was before."""
    with e2e.Environment(timeout=PATIENCE) as env:
        web = env.workload("web", image=BUSYBOX, command=["sleep", "1000"])
        with e2e.monitoring.start(env, scrape_interval=0.5) as monitoring:
            web.start_and_wait_ready()
            monitoring.wait_query('container_cpu_usage_seconds_total{workload="web"}', greater(0))
            counter = cpu_counter(f"{env.name}.web")
            seen: list[object] = []

            def is_told(before: int, seconds: int, after: int) -> bool:
                burn(web, 1)
                with e2e.benchmark.measure(monitoring, settle=PATIENCE) as phase:
                    begin = counter()
                    burn(web, before)
                    time.sleep(seconds)
                    burn(web, after)
                    used = counter() - begin
                told = {usage.name: usage.cpu_seconds for usage in phase.report.usage}.get("web")
                seen.append((told, used, *phase.report.notes))
                return told == pytest.approx(used, rel=0.1, abs=0.05)

            for shape in ((1, 0, 0), (0, 1, 1)):
                # On a busy machine a look may fail, and with it what is right to some hundredths of a second.
                assert any(is_told(*shape) for _ in range(10)), seen


def burn(web: e2e.Workload, seconds: int) -> None:
    """Keeps a core busy."""
    web.exec(["timeout", str(seconds), "sh", "-c", "while :; do :; done"], check=False)


def cpu_counter(container: str) -> Callable[[], float]:
    """Tells the seconds of processor time that the kernel has counted for it."""
    with docker_client() as client:
        process = client.containers.get(container).attrs["State"]["Pid"]
    try:
        (path,) = own_paths(Path("/proc", str(process)))
        (mount,) = [
            one.mount for one in read_hierarchies() if "cpuacct" in one.controllers or one.version == 2
        ]
        group = mount / path.removeprefix("/")
        group.stat()
    except (CgroupError, OSError, ValueError) as error:
        pytest.skip(f"the cgroups of the engine's containers are not to be seen here: {error}")
    if (group / "cpuacct.usage").exists():
        return lambda: int((group / "cpuacct.usage").read_text()) / 1e9
    return lambda: int((group / "cpu.stat").read_text().split()[1]) / 1e6


def test_plots_are_drawn_by_a_real_browser(tmp_path: Path) -> None:
    with e2e.Environment(timeout=PATIENCE) as env:
        chromium = Chromium(env)
        page = env.get("chromium").write_file("report.html", report().to_html())
        # The titles, axes and legends of plots are text that only the page's own script writes.
        drawn = ("cores in use", "memory, MB", "seconds", "test-process", "code=200", "2.5 MB")
        shown = chromium.wait_shown(f"file://{page}", "Benchmark load", *drawn, pictures=tmp_path)
        assert [text for text in drawn if text not in shown] == []
        assert shown.count("cores in use") == 1
