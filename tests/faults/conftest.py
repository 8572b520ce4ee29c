"""Fixtures of the faults on the real engine."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from .engine import Controller, Engine, open_engine, until

MakeController = Callable[..., Controller]


@pytest.fixture
def engine() -> Iterator[Engine]:
    try:
        docker.from_env().close()
    except DockerException as error:
        pytest.skip(f"no engine: {error}")
    with open_engine() as opened:
        yield opened


@pytest.fixture
def base() -> Iterator[Path]:
    """A short path, since a socket's is."""
    with tempfile.TemporaryDirectory(prefix="e2e-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture
def controller(base: Path, engine: Engine) -> Iterator[Controller]:
    """Started; at its end everything is deleted by itself, which is part of every test."""
    made = Controller(base, rescan_interval="1s", resync_interval="5s")
    made.start()
    owner = made.identity
    try:
        yield made
        for file in made.folder.iterdir():
            file.unlink()
        until(lambda: not engine.left(owner, made.whole_log()), f"nothing is left of {owner}", made.log)
    finally:
        made.stop()
        left = engine.left(owner, made.whole_log())
        engine.remove(owner)
    assert not left
