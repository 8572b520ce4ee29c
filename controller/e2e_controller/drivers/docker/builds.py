"""Builds of images from a folder."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from typing import IO

from docker import APIClient
from docker.errors import APIError

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    BuildSpec,
    DriverError,
    ImageFailed,
    PullProgress,
)
from e2e_controller.drivers.docker.contexts import pack_context
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.failures import EngineRefusal
from e2e_controller.drivers.docker.lines import documents
from e2e_controller.drivers.docker.progress import BuildLines, error_of
from e2e_controller.drivers.docker.registry import build_headers
from e2e_controller.drivers.docker.temporary import image_labels
from e2e_controller.drivers.inventory import Owner

BUILD_SILENCE = 1800.0
"""Seconds without any output after which a build is given up; one step may work for long in silence."""

_PASSING = re.compile(
    r"no such host|time(d )?out|connection (refused|reset)|unreachable|handshake|toomanyrequests"
    r"|HTTP status|no space left"
)
_CHUNK = 256 * 1024
_VANISHED = re.compile(
    r"No such image: sha256:|failed to get digest sha256:|(unknown parent|unrecognized) image ID"
)
_TRIES = 5


class _LayerVanished(ImageFailed):
    """The engine had a layer, and lost it while it built on it: somebody removed an image with the same."""


class Builds:
    """Builds images with the engine's own builder."""

    def __init__(self, engine: Engine, owner: Owner, silence: float = BUILD_SILENCE) -> None:
        self._engine = engine
        self._owner = owner
        self._silence = silence

    async def build(self, spec: BuildSpec, progress: PullProgress, missing: str = "") -> None:
        """Builds and tags an image. Raises `ImageFailed` with the last output.

        `missing` is what else helps where the context cannot be read.
        """
        try:
            context, dockerfile = await self._engine.in_thread(lambda: pack_context(spec))
        except (OSError, ValueError) as error:
            remedy = "correct build.context or build.dockerfile"
            raise build_failed(spec, f"{error}; {remedy}{missing}", BuildLines()) from error
        with closing(context):
            for tries in range(1, _TRIES + 1):
                context.seek(0)
                try:
                    await self._try(spec, dockerfile, context, progress)
                except _LayerVanished:
                    if tries == _TRIES:
                        raise
                    await self._engine.call("remove image", self._remove_halves)
                else:
                    return

    async def _try(
        self, spec: BuildSpec, dockerfile: str, context: IO[bytes], progress: PullProgress
    ) -> None:
        lines = BuildLines()
        try:
            await self._build(spec, dockerfile, context, lines, progress)
        except DriverError as error:
            match error.__cause__:
                case EngineRefusal() as refusal:
                    raise build_failed(spec, str(refusal), lines) from error
                case TimeoutError():
                    raise build_failed(spec, f"no output for {self._silence:g} s", lines) from error
            raise

    def _remove_halves(self, client: APIClient) -> None:
        """Of builds that broke off between two labels: nobody knows which environment those are of."""
        ours = {"label": f"{LABEL_CONTROLLER}={self._owner.controller_id}", "dangling": True}
        for image in client.images(filters=ours):
            if LABEL_ENVIRONMENT not in image["Labels"]:
                with suppress(APIError):  # another build goes on from it, or somebody uses it
                    client.remove_image(image["Id"])

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
            "labels": json.dumps(image_labels(spec.tag, self._owner)),
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


def build_failed(spec: BuildSpec, message: str, lines: BuildLines) -> ImageFailed:
    """The failure, with the end of the output."""
    text = f"build of {spec.tag} failed: {message}"
    if lines.tail:
        text = f"{text}\n{lines.tail}"
    if _VANISHED.search(message):
        return _LayerVanished(text, reason=Reason.IMAGE_BUILD_FAILED, retry=True)
    return ImageFailed(text, reason=Reason.IMAGE_BUILD_FAILED, retry=bool(_PASSING.search(message)))


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Read in the loop: the file has just been written, so it is in memory."""
    while data := file.read(_CHUNK):
        yield data
