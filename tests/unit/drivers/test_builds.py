"""Builds whose layers vanish under them: somebody removes an image that has the same ones."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from docker import APIClient
from docker.errors import APIError, ImageNotFound

from e2e_controller.drivers.base import BuildSpec, ImageFailed
from e2e_controller.drivers.docker.builds import Builds
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.temporary import remove_image
from e2e_controller.drivers.inventory import Owner

T = TypeVar("T")
VANISHED = (
    "No such image: sha256:9a0a5e906f98",
    "unknown parent image ID sha256:96d4cb1a8682",
    "unrecognized image ID sha256:29d785914bad",
    "failed to get digest sha256:4e19a66212c1: open /x/imagedb/content/sha256/4e19a6: no such file",
)


class Answer:
    """A build's output; `content` is the answer's own reader."""

    def __init__(self, *documents: dict[str, str]) -> None:
        self._data = [json.dumps(document).encode() + b"\n" for document in documents]

    @property
    def content(self) -> "Answer":
        return self

    async def readany(self) -> bytes:
        return self._data.pop(0) if self._data else b""


class StubClient:
    """With a build of a tag that went on without it, and one that broke off before its second label."""

    def __init__(self, *answers: Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def images(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        assert filters == {"label": "io.e2e.controller=x", "dangling": True}
        labels = {"io.e2e.controller": "x"}
        return [
            {"Id": "sha256:whole", "Labels": {**labels, "io.e2e.environment": "e"}},
            {"Id": "sha256:half", "Labels": labels},
        ]

    def remove_image(self, name: str) -> None:
        self.asked.append(name)
        if self._answers:
            raise self._answers.pop(0)


class StubEngine:
    """Gives one error after another, then success; remembers what contexts it was sent."""

    def __init__(self, *errors: str) -> None:
        self._errors = list(errors)
        self.sent: list[bytes] = []
        self.client = StubClient()

    async def call(self, _name: str, function: Callable[[APIClient], T]) -> T:
        return function(cast("APIClient", self.client))

    async def in_thread(self, function: Callable[[], T]) -> T:
        return function()

    @asynccontextmanager
    async def request(
        self, *_words: str, data: AsyncIterator[bytes], **_options: Any
    ) -> AsyncIterator[Answer]:
        self.sent.append(b"".join([piece async for piece in data]))
        step = {"stream": f"Step {len(self.sent)}\n"}
        yield Answer(step, {"error": self._errors.pop(0)}) if self._errors else Answer(step)


@pytest.fixture
def spec(tmp_path: Path) -> BuildSpec:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    return BuildSpec("a:b", str(tmp_path))


async def build(engine: StubEngine, spec: BuildSpec) -> list[str]:
    lines: list[str] = []
    await Builds(cast("Engine", engine), Owner("x")).build(spec, lines.append)
    return lines


async def test_it_is_built_again(spec: BuildSpec) -> None:
    engine = StubEngine(*VANISHED)
    assert await build(engine, spec) == [f"building: Step {number}" for number in range(1, 6)]
    assert len(set(engine.sent)) == 1
    assert b"FROM busybox" in engine.sent[0]
    assert engine.client.asked == ["sha256:half"] * 4


async def test_not_for_ever(spec: BuildSpec) -> None:
    engine = StubEngine(*VANISHED, *VANISHED)
    with pytest.raises(ImageFailed, match="No such image") as caught:
        await build(engine, spec)
    assert caught.value.retry
    assert len(engine.sent) == 5
    assert "Step 5" in str(caught.value)
    assert "Step 4" not in str(caught.value)


async def test_another_failure_is_told_at_once(spec: BuildSpec) -> None:
    engine = StubEngine("returned a non-zero code: 7")
    with pytest.raises(ImageFailed, match="code: 7") as caught:
        await build(engine, spec)
    assert not caught.value.retry
    assert len(engine.sent) == 1


def test_a_removal_that_meets_another_is_made_again() -> None:
    """The engine gives up, where both come upon the same layer, and may have left the image."""
    met = APIError("x", explanation="unrecognized image ID sha256:29d785914bad")
    for answers in ((met, met), (met, met, ImageNotFound("x"))):
        client = StubClient(*answers)
        remove_image(cast("APIClient", client), {"Id": "sha256:1", "RepoTags": None})
        assert client.asked == ["sha256:1"] * 3
