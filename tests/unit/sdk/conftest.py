"""A fake controller for each test, as the one that `E2E_CONTROLLER` names."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_controller import FakeController


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeController]:
    fake = FakeController(tmp_path / "shared")
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        monkeypatch.setenv("E2E_CONTROLLER", fake.start(Path(directory, "s")))
        yield fake
        fake.stop()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look at a program in a workload is given up because its answer comes late."""
    for module in ("traces", "queries"):
        for package in ("e2e._sync", "e2e.aio"):
            monkeypatch.setattr(f"{package}.{module}._LOOKS", (0.05, 60.0))
            monkeypatch.setattr(f"{package}.{module}._LOOK_SECONDS", 60.0)


class Later:
    """Stands in for the module `time` where waits for queries look at it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """So much later than by the clock it is."""

    def monotonic(self) -> float:
        return time.monotonic() + self.seconds


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    found = Later()
    monkeypatch.setattr("e2e.prometheus.judging.time", found)
    return found
