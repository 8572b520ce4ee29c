import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests

from benchmarks import bench as module
from benchmarks.bench import Bench, end_embedded, remove_labelled, until
from benchmarks.options import Options
from benchmarks.waiting import Waiting


class FakeEngine:
    """Has one container, network and volume for each label; refuses what it is told to."""

    def __init__(self, refuses: dict[str, Exception] | None = None) -> None:
        self.refuses = refuses or {}
        self.removed: list[str] = []

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, str]]:  # noqa: A002
        return [{"Id": f"container of {filters['label']}"}]

    def networks(self, *, filters: dict[str, str]) -> list[dict[str, str]]:
        if "list networks" in self.refuses:
            raise self.refuses["list networks"]
        return [{"Id": f"network of {filters['label']}", "Name": "net"}]

    def volumes(self, *, filters: dict[str, str]) -> dict[str, Any]:
        return {"Volumes": None}

    def remove_container(self, name: str, **_: bool) -> None:
        self._remove(name)

    def remove_network(self, name: str) -> None:
        self._remove(name)

    def close(self) -> None:
        self.removed.append("closed")

    def _remove(self, name: str) -> None:
        for part, error in self.refuses.items():
            if name.startswith(part):
                raise error
        self.removed.append(name)


def test_all_with_the_label_goes() -> None:
    engine: Any = FakeEngine()
    assert remove_labelled(engine, "a=b") == []
    assert engine.removed == ["container of a=b", "network of a=b"]


def test_what_cannot_be_removed_is_told_and_the_rest_goes() -> None:
    hung = requests.ReadTimeout("timed out")
    refused = docker.errors.APIError("has active endpoints")
    engine: Any = FakeEngine({"container": refused, "list networks": hung})
    failures = remove_labelled(engine, "a=b")
    assert failures == ["container container of a=b: has active endpoints", "networks of a=b: timed out"]


def test_what_is_gone_already_is_no_failure() -> None:
    engine: Any = FakeEngine({"container": docker.errors.NotFound("no such container")})
    assert remove_labelled(engine, "a=b") == []
    assert engine.removed == ["network of a=b"]


def test_a_run_cleans_up_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(module, "connect", lambda _: engine)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("E2E_HTTP", "127.0.0.1:1")
    monkeypatch.setenv("E2E_STATE_DIR", "/somebody/elses")
    bench = Bench(Options(), print)

    def interrupted() -> None:
        with bench:
            assert "E2E_HTTP" not in os.environ
            assert os.environ["E2E_STATE_DIR"] == str(bench.folder / "embedded")
            (bench.state_folder("other") / "controller-id").write_text("4711\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not bench.folder.exists()
    assert engine.removed == [
        f"container of io.e2e.benchmark={bench.run}",
        f"network of io.e2e.benchmark={bench.run}",
        "container of io.e2e.controller=4711",
        "network of io.e2e.controller=4711",
        "closed",
    ]


def test_an_embedded_controller_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(tmp_path)]) as process:
        pid_file = tmp_path / "embedded.pid"
        pid_file.write_text(f"{process.pid}\n")
        # Of a program that was just begun, the kernel tells no arguments yet.
        until(lambda: str(tmp_path).encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes())
        waiting = Waiting(process.wait)
        end_embedded(pid_file)
        waiting.told()
        assert process.returncode == -15
    end_embedded(pid_file)  # it is gone already


def test_another_process_of_that_number_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        pid_file = tmp_path / "embedded.pid"
        pid_file.write_text(f"{process.pid}\n")
        end_embedded(pid_file)
        assert process.poll() is None
        process.kill()


def test_until_gives_up() -> None:
    until(lambda: True)
    with pytest.raises(TimeoutError):
        until(lambda: False, seconds=0)


def test_a_waiting_knows_when_it_was_told() -> None:
    before = time.perf_counter()
    assert before <= Waiting(lambda: None).told() <= time.perf_counter()


def test_a_waiting_tells_of_what_was_not_expected() -> None:
    def fail() -> None:
        raise LookupError("gone")

    assert Waiting(fail, expected=LookupError).told() > 0
    with pytest.raises(LookupError):
        Waiting(fail).told()
    with pytest.raises(LookupError):
        Waiting(fail, expected=ValueError).told()
    with pytest.raises(AssertionError, match="did not raise LookupError"):
        Waiting(lambda: None, expected=LookupError).told()
