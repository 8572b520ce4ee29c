"""Fixtures of the scenarios."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from controllers import Controller


@pytest.fixture
def controller() -> Iterator[Controller]:
    """A controller on an empty folder; what it made goes with it."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as base:
        controller = Controller(Path(base))
        try:
            yield controller
        finally:
            controller.stop()
