"""Images that are there, and pulls."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from docker import APIClient
from docker.errors import ImageNotFound

from e2e_controller.drivers.base import DriverError, ImageFailed, PullProgress
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.failures import EngineRefusal
from e2e_controller.drivers.docker.lines import documents
from e2e_controller.drivers.docker.progress import PullLines, error_of
from e2e_controller.drivers.docker.registry import mirrored, pull_headers, registry_of, split_reference
from e2e_controller.flight import SingleFlight

PULL_SILENCE = 120.0
"""Seconds without any message after which a pull is given up."""

_CREDENTIALS_WITHIN = 30.0
_TOO_MANY = re.compile(r"toomanyrequests|[Tt]oo [Mm]any [Rr]equests|rate limit")
_NOT_ALLOWED = re.compile(
    r"unauthorized|authentication required|no basic auth credentials|(?<!permission )\bdenied\b"
)
_FAULT_OF_ITS_OWN = re.compile(r"unexpected (HTTP )?status( code)?:? .*\b5\d\d\b")
_NO_SUCH_IMAGE = re.compile(
    r"manifest unknown|name unknown|not found|no matching manifest|invalid reference format|invalid tag"
)


class Images:
    """The engine's images."""

    def __init__(self, engine: Engine, pull_silence: float = PULL_SILENCE, mirror: str = "") -> None:
        self._engine = engine
        self._silence = pull_silence
        self._mirror = mirror.strip("/")
        self._pulls: SingleFlight[str, None] = SingleFlight()
        self._listeners: dict[str, list[PullProgress]] = {}

    async def close(self) -> None:
        """Ends pulls under way."""
        await self._pulls.cancel_all()

    async def present(self, reference: str, environment: str = "") -> bool:
        """Whether the image is there."""
        return await self._inspect(reference, environment) is not None

    def source(self, reference: str) -> str:
        """Where it is pulled from, which may be a mirror."""
        try:
            return mirrored(reference, self._mirror)
        except ValueError:
            return reference

    async def entrypoint(self, reference: str, environment: str) -> tuple[str, ...]:
        """The image's own entrypoint; none where the image is not there, which its use will tell."""
        found = await self._inspect(reference, environment) or {}
        return tuple((found.get("Config") or {}).get("Entrypoint") or ())

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Pulls an image, together with all who want the same one."""
        listeners = self._listeners.setdefault(reference, [])
        listeners.append(progress)
        try:
            await self._pulls.run(reference, lambda: self._pull(reference))
        finally:
            listeners.remove(progress)
            if not listeners:
                self._listeners.pop(reference, None)

    async def _inspect(self, reference: str, environment: str) -> Mapping[str, Any] | None:
        def look(client: APIClient) -> Mapping[str, Any] | None:
            try:
                found: Mapping[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None
            return found

        what = f"image {reference}"
        return await self._engine.call("inspect image", look, what, environment=environment)

    async def _pull(self, reference: str) -> None:
        try:
            source = mirrored(reference, self._mirror)
            headers = await self._credentials(registry_of(source))
        except ValueError as error:
            raise ImageFailed(str(error), retry=False, remedy="correct the image's name") from error
        name, tag = split_reference(source)
        params = {"fromImage": name, "tag": tag}
        try:
            async with self._engine.request(
                "pull", "POST", "/images/create", params=params, headers=headers, within=self._silence
            ) as response:
                lines = PullLines()
                async for document in documents(response, self._silence):
                    if "error" in document:
                        raise pull_failed(source, error_of(document))
                    self._tell(reference, lines.add(document))
        except DriverError as error:
            raise self._pull_error(source, error) from error
        if source != reference:
            await self._tag(source, reference)

    async def _tag(self, source: str, reference: str) -> None:
        """Gives what came from the mirror the name that manifests know it by."""
        name, tag = split_reference(reference)
        await self._engine.call(
            "tag",
            lambda client: client.tag(source, name, tag),
            f"tag {source} as {reference}",
        )

    def _tell(self, reference: str, line: str) -> None:
        for listener in tuple(self._listeners.get(reference, ())) if line else ():
            listener(line)

    def _pull_error(self, reference: str, error: DriverError) -> DriverError:
        match error.__cause__:
            case EngineRefusal() as refusal:
                return pull_failed(reference, str(refusal))
            case TimeoutError():
                return ImageFailed(
                    f"pull of {reference} made no progress for {self._silence:g} s",
                    remedy="see whether the engine reaches the registry",
                )
        return error

    async def _credentials(self, registry: str) -> dict[str, str]:
        try:
            async with asyncio.timeout(_CREDENTIALS_WITHIN):
                return await self._engine.in_thread(lambda: pull_headers(registry))
        except TimeoutError:
            return {}


def pull_failed(reference: str, message: str) -> ImageFailed:
    """What the registry's refusal means; what is not known to be final may be tried again."""
    text = f"pull of {reference} failed: {message.rstrip('.')}"
    if _TOO_MANY.search(message):
        return ImageFailed(
            text, remedy="wait, `docker login` to the registry for a higher limit, or use --image-mirror"
        )
    if _NOT_ALLOWED.search(message):
        remedy = "check the image's name; if it is private, `docker login` to its registry"
        return ImageFailed(text, retry=False, remedy=remedy)
    if _NO_SUCH_IMAGE.search(message):
        return ImageFailed(
            text, retry=False, remedy="check the image's name and tag, or build it on this engine"
        )
    if "no space left" in message:
        return ImageFailed(text, remedy="free disk space on the engine's host")
    if _FAULT_OF_ITS_OWN.search(message):
        return ImageFailed(text, remedy="the registry has a fault of its own: see to it, or try again later")
    return ImageFailed(text, remedy="see whether the engine reaches the registry")
