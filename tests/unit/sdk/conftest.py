"""A fake controller for each test, as the one that `E2E_CONTROLLER` names."""

import tempfile
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
