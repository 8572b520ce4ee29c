"""The fixture and the marker, in runs of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TESTS = """
import itertools
import pytest
from tests.unit.benchmark.fake_prometheus import FakeMonitoring, FakeTime, Known, vector

@pytest.mark.e2e_benchmark(repetitions=6, tolerance=0.5)
def test_ways(e2e_benchmark):
    old, new = itertools.count(1000), itertools.count(1200)
    comparison = e2e_benchmark.compare(lambda: next(old), lambda: next(new), names=("old", "new"))
    assert comparison.verdict == "cannot tell"
    assert len(comparison.main.a) == 6
    assert e2e_benchmark.compare(lambda: next(old), lambda: next(new), tolerance=0.05).verdict == "slower"

@pytest.mark.e2e_benchmark
def test_phase(monkeypatch, e2e_benchmark):
    clock = FakeTime()
    monkeypatch.setattr("e2e._sync.benchmark.time", clock)
    monkeypatch.setattr("e2e._sync.benchmark.pause", clock.pass_by)
    known = Known(clock)
    known.tell("container_cpu_usage_seconds_total", lambda at: at, workload="web", id="a")
    known.now["up"] = vector(3)
    monitoring = FakeMonitoring(known)
    with e2e_benchmark.measure(monitoring, settle=0) as phase:
        clock.pass_by(5)
    assert phase.report.name == "test_phase"
    with pytest.raises(ZeroDivisionError), e2e_benchmark.measure(monitoring, "broken"):
        1 / 0

async def test_async(e2e_benchmark):
    async def one():
        return 1.0
    comparison = await e2e_benchmark.compare_async(one, one, repetitions=4)
    assert comparison.verdict == "cannot tell"
    await e2e_benchmark.compare_async(one, one, repetitions=4)

def test_other():
    pass
"""


def run(folder: Path, *options: str, tests: str = TESTS, code: int = 0) -> str:
    (folder / "test_it.py").write_text(tests)
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:looptime_plugin"]
    settings = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", "--strict-markers", *without, *settings, *options]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, env=environment)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "1", "--dist", "loadgroup")], ids=["alone", "workers"])
def test_what_was_measured_is_told_and_written(tmp_path: Path, workers: tuple[str, ...]) -> None:
    told = run(tmp_path, "--e2e-benchmark-dir", "reports", *workers)
    assert "= e2e benchmarks =" in told
    assert "new beside old, 6 and 6 repetitions" in told
    assert "| web | " in told
    assert "broken" not in told
    assert f"written: {tmp_path}/reports/test_it-test_phase.html" in told
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {
        f"test_it-{name}.{suffix}"
        for name in ("test_ways-old-new", "test_ways-a-b", "test_phase", "test_async-a-b", "test_async-a-b-2")
        for suffix in ("json", "md", "html")
    }


SAME = """
import pytest
@pytest.mark.parametrize("way", ["a/b", "a-b", pytest.param("x", id="x" * 300)])
def test_same(e2e_benchmark, way):
    e2e_benchmark.compare(lambda: 1, lambda: 1, repetitions=1, warmup=0)
"""


def test_no_test_overwrites_another_s_reports(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "test_other.py").write_text(SAME)
    run(tmp_path, "--e2e-benchmark-dir", "reports", tests=SAME)
    names = sorted(path.name for path in (tmp_path / "reports").glob("*.json"))
    assert len(names) == 6
    assert names[0].startswith("below-test_other-test_same-")
    assert "test_it-test_same-a-b-a-b.json" in names


def test_the_marker_leaves_them_out(tmp_path: Path) -> None:
    told = run(tmp_path, "-m", "not e2e_benchmark and not asyncio", "-v")
    assert "test_other PASSED" in told
    assert "e2e benchmarks" not in told
    assert "3 deselected" in told


@pytest.mark.parametrize("arguments", ["4", "repetition=4"])
def test_a_wrong_marker_is_an_error(tmp_path: Path, arguments: str) -> None:
    tests = f"import pytest\n@pytest.mark.e2e_benchmark({arguments})\ndef test_it(e2e_benchmark):\n    pass\n"
    told = run(tmp_path, tests=tests, code=1)
    assert (
        f"@pytest.mark.e2e_benchmark({arguments.replace('=4', '=...')}): it takes about, higher_is_better"
        in told
    )
