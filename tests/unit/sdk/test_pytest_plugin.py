"""The plugin, in a run of its own against a fake controller."""

import subprocess
import sys
from pathlib import Path

from .fake_controller import FakeController

SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:looptime_plugin"]
"""looptime makes event loops that nobody closes; when the collector finds one is chance."""
TESTS = """
import asyncio
import e2e

def test_fixture(e2e_environment):
    assert e2e_environment.name.startswith("test-fixture-")
    e2e_environment.workload("web", image="x").start()
    assert 1 == 2, "in the fixture"

def test_block():
    with e2e.Environment("mine") as env:
        env.workload("db", image="x").start()
        assert 1 == 2, "in the block"

def test_good(e2e_environment):
    e2e_environment.workload("other", image="x").start()

def test_unrelated():
    assert 1 == 2, "elsewhere"

async def test_async(e2e_async_environment):
    assert isinstance(e2e_async_environment, e2e.AsyncEnvironment)
    e2e_async_environment.workload("web", image="x")
    await e2e_async_environment.workload("queue", image="x").start()
    assert 1 == 2, "in the asynchronous fixture"
"""


def test_a_failed_test_shows_what_is_known_of_its_environments(
    controller: FakeController, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    # pytest-asyncio leaves a loop of its own unclosed, which shows when garbage happens to be collected: in
    # CPython's parser (a SystemError), while hypothesis is loaded for pytest's summary.
    warnings = ["-W", "error", "-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    options = [*without, *warnings, "-o", "asyncio_mode=auto", "--tb=short", "-q", *SCOPE]
    command = [sys.executable, "-m", "pytest", *options]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150)
    reports = ended.stdout.split("\n____")
    assert ended.stdout.rstrip().splitlines()[-1].startswith("4 failed, 1 passed")
    by_name = {
        name: next(part for part in reports if f" {name} " in part.splitlines()[0])
        for name in ("test_fixture", "test_block", "test_unrelated", "test_async")
    }
    assert "e2e environment test-fixture-" in by_name["test_fixture"]
    assert "web  Ready" in by_name["test_fixture"]
    assert "e2e environment mine" in by_name["test_block"]
    assert "db  Ready" in by_name["test_block"]
    assert "e2e environment" not in by_name["test_unrelated"]
    assert "queue  Ready" in by_name["test_async"]
    assert controller.objects == {}


def test_a_run_without_e2e_loads_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert not {'grpc', 'pydantic', 'e2e.live'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-q", *SCOPE]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150)
    assert ended.returncode == 0, ended.stdout
