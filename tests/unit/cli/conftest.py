"""A fake controller for each test, and the command line run in this process."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cli.program import run

from .fake import CliController

RunE2E = Callable[..., tuple[int, str, str]]


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliController]:
    fake = CliController(tmp_path / "shared")  # type: ignore[abstract]
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:  # a socket's path must be short
        monkeypatch.setenv("E2E_CONTROLLER", fake.start(Path(directory, "s")))
        monkeypatch.delenv("E2E_ENVIRONMENT", raising=False)
        yield fake
        fake.stop()


@pytest.fixture
def e2e(capfd: pytest.CaptureFixture[str]) -> RunE2E:
    """Runs one command line: gives exit code, standard output and standard error."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call
