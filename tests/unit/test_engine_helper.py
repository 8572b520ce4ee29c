"""What looks behind the controller's back must look at the same engine."""

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks.bench import engine_socket
from tests.engine import endpoint


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The socket of the docker context that is the current one."""
    socket = str(tmp_path / "engine.sock")
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": f"unix://{socket}"}}}))
    (tmp_path / "config.json").write_text('{"currentContext": "mine"}')
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "E2E_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return socket


def test_the_tests_heed_the_docker_context(context: str) -> None:
    assert endpoint().socket_path == context


def test_the_tests_heed_the_engine_setting(context: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2E_ENGINE", "unix:///set.sock")
    assert endpoint().socket_path == "/set.sock"


def test_the_benchmark_heeds_the_docker_context(context: str) -> None:
    assert str(engine_socket()) == context
