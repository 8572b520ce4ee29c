"""The demo where the engine fails in the middle of it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from requests import ReadTimeout
from rich.console import Console

from e2e import E2EError
from e2e_controller.drivers.base import EngineUnavailable

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


ERRORS = [
    docker.errors.DockerException("Error while fetching server API version"),
    ReadTimeout("it hangs"),
    EngineUnavailable("no engine"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_engine_that_fails_is_an_error_of_ours(
    examples: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import demo_stage

    monkeypatch.setattr(docker, "DockerClient", failing(error))
    with pytest.raises(E2EError, match="the engine does not answer as it should"), demo_stage._engine():
        pass


def test_the_failure_is_told_with_its_step(examples: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import demo
    import demo_stage

    monkeypatch.setattr(docker, "DockerClient", failing(ERRORS[0]))

    class Story:
        title = "6. delete everything"
        times = ()

        def tell(self) -> None:
            with demo_stage._engine():
                pass

        def evidence(self) -> str:
            return "the evidence"

    page = io.StringIO()
    assert demo.tell(Story(), Console(file=page)) == 1
    assert "failed: 6. delete everything" in page.getvalue()
    assert "Error while fetching server API version" in page.getvalue()
    assert "the evidence" in page.getvalue()
