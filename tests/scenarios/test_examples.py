"""The examples, as their readers run them."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium
from commands import engine_has, ok

import e2e
from e2e import equals, greater_or_equal

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(file: str) -> Any:
    """The module of an example."""
    name = f"examples_{file.replace('/', '_').removesuffix('.py')}"
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


test_thanos = example("thanos/test_thanos.py").test_querier_sees_both_sidecars
test_benchmark = example("thanos/test_benchmark.py").test_load_on_the_querier
test_exampleapp = pytest.mark.timeout(360)(
    example("exampleapp/test_exampleapp.py").test_prometheus_sees_at_least_five_requests
)


STANDALONE = EXAMPLES / "thanos" / "standalone.py"
SECONDS = 170.0


def opened(file: Path, number: int) -> list[str]:
    """The addresses that the browser was given, once there are so many."""
    deadline = time.monotonic() + SECONDS
    while not file.exists() or len(file.read_text().splitlines()) < number:
        assert time.monotonic() < deadline, "not all pages were opened"
        time.sleep(0.05)
    return file.read_text().splitlines()


@pytest.mark.timeout(400)
def test_standalone(tmp_path: Path) -> None:
    """Interactive use, with a browser in the environment itself to look at the three pages."""
    name = f"standalone-{os.getpid()}"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    variables = {**os.environ, "BROWSER": str(browser), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(STANDALONE), name]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("starting Thanos")
            told = [process.stdout.readline()]
            while told[-1] and "runs until interrupted" not in told[-1]:
                told.append(process.stdout.readline())
            assert told[-1], "".join(told)
            pages = opened(tmp_path / "opened", 3)
            with e2e.Environment.attach(name, timeout=SECONDS) as env:
                look_at(env, pages, tmp_path)
                if "gets no cgroup" not in told[0]:  # where it may not, the rest works without
                    process_used = 'container_memory_working_set_bytes{workload="test-process"}'
                    e2e.Queries(env.get("monitoring")).wait_query(process_used, greater_or_equal(1))
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(SECONDS)
    assert code == 0
    assert engine_has(name) == []


def look_at(env: e2e.Environment, pages: list[str], pictures: Path) -> None:
    monitoring = e2e.Queries(env.get("monitoring"))
    monitoring.wait_query('up{job="query-1"}', equals(1))
    chromium = Chromium(env)
    shown = {"query-1": "prometheus-1", "monitoring": "query-1", "jaeger": "Jaeger"}
    for page, (workload, text) in zip(pages, shown.items(), strict=True):
        port = env.get(workload).endpoint("http")
        assert page.startswith(f"http://{port}/")
        inside = page.replace(port, env.get(workload).internal_endpoint("http"))
        chromium.wait_shown(inside.replace("g0.tab=0", "g0.tab=1"), text, pictures=pictures)


@pytest.mark.timeout(400)
def test_exampleapp_as_a_folder(environment: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "manifests" / "exampleapp", tmp_path / "manifests" / "exampleapp")
    example("exampleapp/test_exampleapp.py").build_context(tmp_path / "exampleapp")
    folder = tmp_path / "manifests" / "exampleapp"
    ok("up", folder, "--env", environment, "--wait", "--keep", "--timeout", "150s", seconds=SECONDS)
    with e2e.Environment.attach(environment, timeout=SECONDS) as env:
        queries = e2e.Queries(env.get("prometheus"))
        queries.wait_query('up{workload="exampleapp", job="exampleapp"}', equals(1))
        table = ok("get", "exampleapp", "--env", environment)
        address = re.search(r"http=(\S+)", table)
        assert address is not None
        for _ in range(5):
            example("exampleapp/test_exampleapp.py").get(address[1])
        queries.wait_query('sum(http_requests_total{job="exampleapp"})', greater_or_equal(5))


@pytest.mark.timeout(400)
def test_standalone_as_a_folder(environment: str) -> None:
    folder = EXAMPLES / "manifests" / "standalone"
    ok("up", folder, "--env", environment, "--wait", "--keep", "--timeout", "150s", seconds=SECONDS)
    with e2e.Environment.attach(environment, timeout=SECONDS) as env:
        env.get("query-1").wait_sum_metrics(equals(2), "thanos_store_nodes_grpc_connections")
        monitoring = e2e.Queries(env.get("monitoring"))
        monitoring.wait_query(f'count(up{{environment="{environment}"}} == 1)', greater_or_equal(7))
        used = f'container_memory_working_set_bytes{{environment="{environment}", workload="query-1"}}'
        monitoring.wait_query(used, greater_or_equal(1))
        e2e.Queries(env.get("query-1")).query("up")
        e2e.Traces(env.get("jaeger")).wait("query-1", across=["sidecar-1", "sidecar-2"])
