"""Waits for metrics of a real program, whose page the test writes."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from small import BUSYBOX, until_stopped, web_server

from e2e import (
    Absent,
    AsyncEnvironment,
    E2EError,
    Environment,
    LabelMatcher,
    NotFound,
    WaitFailed,
    WaitTimeout,
    Workload,
    between,
    equals,
    greater,
    less_among_two,
)

PAGE = """\
# TYPE jobs gauge
jobs{queue="a",kind="x"} 3
jobs{queue="b",kind="x"} 4
jobs{queue="c",kind="y"} 5
# TYPE latency histogram
latency_bucket{le="1"} 2
latency_bucket{le="+Inf"} 4
latency_sum 6.5
latency_count 4
# TYPE done_total counter
done_total 10
"""


@pytest.fixture
def web() -> Iterator[Workload]:
    with Environment(timeout=60) as env:
        workload = web_server(env, "web", root=str(env.shared_dir / "web"))
        workload.write_file("index.html", "")
        workload.write_file("metrics", PAGE)
        workload.start_and_wait_ready()
        yield workload


def test_sums_with_matchers_and_counts(web: Workload) -> None:
    assert web.sum_metrics("jobs", "done_total") == {"jobs": 12.0, "done_total": 10.0}
    assert web.sum_metric("jobs", matchers={"kind": "x"}) == 7.0
    assert web.sum_metric("jobs", matchers=[LabelMatcher.regex("queue", "a|c")]) == 8.0
    assert web.sum_metric("jobs", matchers=[LabelMatcher.not_regex("queue", "a|c")]) == 4.0
    assert web.sum_metric("jobs", matchers=[LabelMatcher.not_equal("queue", "a")]) == 9.0
    assert web.sum_metric("latency") == 6.5
    assert web.sum_metric("latency", count=True) == 4.0
    assert web.sum_metric("jobs", count=True) == 3.0
    with pytest.raises(NotFound, match="nothing"):
        web.sum_metrics("jobs", "nothing")
    assert web.sum_metrics("jobs", "nothing", absent=Absent.SKIP) == {"jobs": 12.0}
    series = web.metrics("jobs", matchers={"kind": "y"})
    assert [(found.name, found.labels["queue"], found.value) for found in series] == [("jobs", "c", 5.0)]
    assert web.wait_sum_metrics(between(12, 12), "jobs") == {"jobs": 12.0}
    assert web.wait_sum_metrics(less_among_two(), "done_total", "jobs") == {"done_total": 10.0, "jobs": 12.0}


def test_a_wait_goes_on_until_the_metric_appears_and_goes(web: Workload) -> None:
    def later(text: str) -> threading.Timer:
        timer = threading.Timer(0.3, lambda: web.write_file("metrics", text))
        timer.start()
        return timer

    timer = later(PAGE + "fresh 1\n")
    assert web.wait_sum_metrics(equals(1), "fresh") == {"fresh": 1.0}
    timer.join()
    timer = later(PAGE + "fresh 5\n")
    assert web.wait_sum_metrics(lambda value: value % 5 == 0, "fresh") == {"fresh": 5.0}
    timer.join()
    timer = later(PAGE)
    web.wait_removed_metric("fresh")
    timer.join()


def test_a_wait_that_ends_in_vain_tells_the_history(web: Workload) -> None:
    with pytest.raises(NotFound, match="jobz"):
        web.wait_sum_metrics(greater(0), "jobz", absent=Absent.FAIL)
    with pytest.raises(WaitTimeout) as raised:
        web.wait_sum_metrics(equals(13), "jobs", timeout=6)
    text = str(raised.value)
    assert text.startswith("jobs of web did not become equals(13): waited ")
    assert "jobs = 12" in text
    with pytest.raises(WaitTimeout, match=r"jobz = absent(?s:.*)jobs"):
        web.wait_sum_metrics(greater(0), "jobz", timeout=6)
    with pytest.raises(WaitTimeout, match=r"did not become as .*lambda.*: waited (?s:.*)jobs = 12"):
        web.wait_sum_metrics(lambda value: value > 12, "jobs", timeout=6)


def test_a_wait_ends_when_the_program_does(web: Workload) -> None:
    def end() -> None:
        with contextlib.suppress(E2EError):  # the command may end with the program
            web.exec(["sh", "-c", "kill -TERM 1"])

    timer = threading.Timer(0.3, end)
    timer.start()
    started = time.monotonic()
    with pytest.raises(WaitFailed, match=r"jobs of web did not become equals\(13\): it can no longer be"):
        web.wait_sum_metrics(equals(13), "jobs")
    assert time.monotonic() - started < 40  # not at the deadline
    timer.join()


async def test_many_waits_at_once() -> None:
    async with AsyncEnvironment(timeout=60) as env:
        webs = [
            web_server(env, f"web-{number}", root=str(env.shared_dir / f"web-{number}"))
            for number in range(3)
        ]
        for web in webs:
            web.write_file("index.html", "")
        await env.start_and_wait_ready(*webs)
        waits = [asyncio.create_task(web.wait_sum_metrics(equals(1), "fresh")) for web in webs]
        for web in webs:
            web.write_file("metrics", "fresh 1\n")
        assert await asyncio.gather(*waits) == [{"fresh": 1.0}] * 3
        plain = env.workload("plain", image=BUSYBOX, command=until_stopped())
        await plain.start_and_wait_ready()
