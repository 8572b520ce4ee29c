"""The Go framework's own tests (efficientgo/e2e), line by line, through the SDK and on the real engine.

Its table of what `docker port` writes has no counterpart, as nothing here reads that; its tests of what ends
an interactive run are in `tests/unit/sdk/test_interactive.py`, and that of MinIO is in `test_minio.py`.
"""

import math
import urllib.request

import pytest

import e2e
import e2edb
from e2e import Absent, equals, equals_among_two, greater, greater_among_two, less_among_two
from tests.unit.metrics.test_metrics_go_framework import TEXT, TEXT_WITH_NAN

AT_ONCE = 0.2
"""Seconds: of a wait in vain that is not to look for long."""


def test_wait_sum_metric(e2e_environment: e2e.Environment) -> None:
    """TestWaitSumMetric."""
    r = e2edb.static_metrics(e2e_environment, "fake", TEXT)
    r.start_and_wait_ready()
    r.wait_sum_metrics(equals(221), "metric_a")

    with pytest.raises(e2e.WaitTimeout):
        r.wait_sum_metrics(equals(16), "metric_a", timeout=AT_ONCE)
    with pytest.raises(e2e.WaitTimeout):
        r.wait_sum_metrics(equals(16), "unknown_metric", absent=Absent.WAIT, timeout=AT_ONCE)

    r.wait_sum_metrics(equals(1000), "metric_b")
    r.wait_sum_metrics(equals(1020), "metric_b_counter")
    r.wait_sum_metrics(equals(124), "metric_b_hist")
    r.wait_sum_metrics(equals(22), "metric_b_summary")

    r.wait_sum_metrics(equals_among_two(), "metric_a", "metric_a")
    with pytest.raises(e2e.WaitTimeout):
        r.wait_sum_metrics(equals_among_two(), "metric_a", "metric_b", timeout=AT_ONCE)

    r.wait_sum_metrics(greater_among_two(), "metric_b", "metric_a")
    with pytest.raises(e2e.WaitTimeout):
        r.wait_sum_metrics(greater_among_two(), "metric_a", "metric_b", timeout=AT_ONCE)

    r.wait_sum_metrics(less_among_two(), "metric_a", "metric_b")
    with pytest.raises(e2e.WaitTimeout):
        r.wait_sum_metrics(less_among_two(), "metric_b", "metric_a", timeout=AT_ONCE)

    with pytest.raises(e2e.NotFound):
        r.wait_sum_metrics(equals(0), "non_existing_metric", absent=Absent.FAIL)


def test_wait_sum_metric_nan(e2e_environment: e2e.Environment) -> None:
    """TestWaitSumMetric_Nan."""
    r = e2edb.static_metrics(e2e_environment, "fake", TEXT_WITH_NAN)
    r.start_and_wait_ready()
    r.wait_sum_metrics(equals(math.nan), "metric_a")


def test_environment() -> None:
    """testEnvironment; where it differs from the framework, a comment says so."""
    with e2e.Environment(timeout=60) as env:
        p1 = e2edb.prometheus(env, "prometheus-1")
        assert p1.name == "prometheus-1"
        assert p1.dir == env.shared_dir / p1.name
        with pytest.raises(e2e.NotFound, match="not-existing"):  # "" there
            p1.internal_endpoint("not-existing")
        assert not p1.is_running()

        with pytest.raises(e2e.NotFound):
            p1.wait_ready()
        p1.stop()
        p1.kill()
        with pytest.raises(e2e.E2EError):
            p1.exec(["true"])
        with pytest.raises(e2e.NotRunning):  # "stopped" there
            p1.endpoint("http")
        with pytest.raises((e2e.NotFound, e2e.NotRunning)):  # "stopped" there
            p1.endpoint("not-existing")

        p2 = e2edb.prometheus(env, "prometheus-2")
        env.start_and_wait_ready(p1, p2)
        p1.wait_ready()
        p1.wait_ready()
        p1.wait_sum_metrics(greater(50), "prometheus_tsdb_head_samples_appended_total")

        assert p1.name == "prometheus-1"
        assert p1.dir == env.shared_dir / p1.name
        with pytest.raises(e2e.NotFound, match="not-existing"):
            p1.internal_endpoint("not-existing")
        assert p1.is_running()

        flags = "/api/v1/status/flags"
        inside = p1.exec(["wget", "-qO-", f"http://localhost:9090{flags}"]).stdout
        assert b'"config.file":"/etc/prometheus/prometheus.yml"' in inside
        with urllib.request.urlopen(f"http://{p1.endpoint('http')}{flags}", timeout=60) as answer:
            assert answer.read() == inside
        with pytest.raises(e2e.NotFound, match="not-existing"):
            p1.endpoint("not-existing")
        across = p1.exec(["wget", "-qO-", f"http://{p2.internal_endpoint('http')}{flags}"]).stdout
        assert across == p2.exec(["wget", "-qO-", f"http://localhost:9090{flags}"]).stdout

        before = p1.status().container
        p1.start()  # an error there: here what is so already is well
        after = p1.status().container
        assert before is not None
        assert after is not None
        assert before.id == after.id

        batch = env.workload("batch", image="busybox:1.36", command=["sleep", "1000"])
        batch.start()
        batch.wait_running()
        for _ in range(3):
            assert batch.exec(["echo", "yolo"]).stdout_text == "yolo\n"
    after_close = e2edb.prometheus(env, "prometheus-3")
    with pytest.raises(e2e.E2EError):
        after_close.start()
