"""Fixtures of the scenarios."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import e2e, engine_has
from controllers import Controller, start_controller

from tests.certificates import self_signed


@pytest.fixture
def options() -> list[str]:
    """More options of the controller; for tests to override."""
    return []


@pytest.fixture
def controller(options: list[str]) -> Iterator[Controller]:
    """A controller on an empty folder; what it made goes with it."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as base:
        controller = start_controller(Path(base), options)
        try:
            yield controller
        finally:
            controller.stop()


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for this test; what is left in it goes."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-") + f"-{os.getpid()}"
    yield name
    e2e("delete", "--env", name, "--all")
    assert engine_has(name) == []


@pytest.fixture(scope="session")
def certificate() -> str:
    """A self-signed certificate with its key."""
    return "".join(self_signed("secure"))
