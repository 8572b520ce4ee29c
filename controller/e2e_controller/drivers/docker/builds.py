"""Builds of images from a folder."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from docker.api.build import process_dockerfile
from docker.utils.build import tar

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    BuildSpec,
    DriverError,
    ImageFailed,
    PullProgress,
)
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.failures import EngineRefusal
from e2e_controller.drivers.docker.lines import documents
from e2e_controller.drivers.docker.progress import BuildLines, error_of
from e2e_controller.drivers.docker.registry import build_headers

BUILD_SILENCE = 1800.0
"""Seconds without any output after which a build is given up; one step may work for long in silence."""

_PASSING = re.compile(
    r"no such host|time(d )?out|connection (refused|reset)|unreachable|handshake|toomanyrequests"
    r"|HTTP status|no space left"
)
_CHUNK = 256 * 1024


class Builds:
    """Builds images with the engine's own builder."""

    def __init__(self, engine: Engine, controller_id: str, silence: float = BUILD_SILENCE) -> None:
        self._engine = engine
        self._controller_id = controller_id
        self._silence = silence

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Builds and tags an image. Raises `ImageFailed` with the last output."""
        lines = BuildLines()
        try:
            context, dockerfile = await self._engine.in_thread(lambda: pack_context(spec))
        except (OSError, ValueError) as error:
            remedy = "correct build.context or build.dockerfile"
            raise build_failed(spec, f"{error}; {remedy}", lines) from error
        with closing(context):
            try:
                await self._build(spec, dockerfile, context, lines, progress)
            except DriverError as error:
                match error.__cause__:
                    case EngineRefusal() as refusal:
                        raise build_failed(spec, str(refusal), lines) from error
                    case TimeoutError():
                        raise build_failed(spec, f"no output for {self._silence:g} s", lines) from error
                raise

    async def _build(
        self, spec: BuildSpec, dockerfile: str, context: IO[bytes], lines: BuildLines, progress: PullProgress
    ) -> None:
        params = {
            "t": spec.tag,
            "dockerfile": dockerfile,
            "target": spec.target,
            "rm": "1",
            "forcerm": "1",
            "buildargs": json.dumps(dict(spec.args)),
            "labels": json.dumps({LABEL_CONTROLLER: self._controller_id}),
        }
        headers = {"Content-Type": "application/x-tar"} | await self._engine.in_thread(build_headers)
        async with self._engine.request(
            "build",
            "POST",
            "/build",
            params=params,
            headers=headers,
            data=_chunks(context),
            within=self._silence,
        ) as response:
            async for document in documents(response, self._silence):
                if "error" in document:
                    raise build_failed(spec, error_of(document), lines)
                if line := lines.add(document):
                    progress(line)


def pack_context(spec: BuildSpec) -> tuple[IO[bytes], str]:
    """A temporary file with the context as tar, and the Dockerfile's name in it. Heeds .dockerignore.

    Raises OSError, ValueError.
    """
    folder = Path(spec.context)
    if not folder.is_dir():
        raise NotADirectoryError(f"the build context {folder} is no directory")
    found, content = process_dockerfile(spec.dockerfile, str(folder))
    dockerfile = str(found)
    if content is None and not (folder / dockerfile).is_file():
        raise FileNotFoundError(f"there is no {dockerfile} in {folder}")
    ignore = folder / ".dockerignore"
    patterns = [line.strip() for line in ignore.read_text().splitlines()] if ignore.is_file() else []
    patterns = [pattern for pattern in patterns if pattern and not pattern.startswith("#")]
    packed: Any = tar(folder, exclude=patterns or None, dockerfile=(dockerfile, content))
    return packed, dockerfile


def build_failed(spec: BuildSpec, message: str, lines: BuildLines) -> ImageFailed:
    """The failure, with the end of the output."""
    text = f"build of {spec.tag} failed: {message}"
    if lines.tail:
        text = f"{text}\n{lines.tail}"
    return ImageFailed(text, reason=Reason.IMAGE_BUILD_FAILED, retry=bool(_PASSING.search(message)))


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Read in the loop: the file has just been written, so it is in memory."""
    while data := file.read(_CHUNK):
        yield data
