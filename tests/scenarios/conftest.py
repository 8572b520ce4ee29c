"""Fixtures of the scenarios."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from controllers import Controller


@pytest.fixture
def options() -> list[str]:
    """More options of the controller; for tests to override."""
    return []


@pytest.fixture
def controller(options: list[str]) -> Iterator[Controller]:
    """A controller on an empty folder; what it made goes with it."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as base:
        controller = Controller(Path(base), options)
        try:
            yield controller
        finally:
            controller.stop()
