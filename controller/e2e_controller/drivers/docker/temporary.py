"""Images that were built for a workload: they go with its environment."""

import logging
from collections.abc import Mapping
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from e2e_controller.drivers.base import LABEL_CONTROLLER, LABEL_ENVIRONMENT, DriverError
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.inventory import Owner
from e2e_controller.drivers.labels import environment_of_tag

_LOG = logging.getLogger(__name__)
_CONFLICT = 409
_NO_TAG = "<none>:<none>"
_TAKEN_TOGETHER = "unrecognized image ID"
"""What the engine says where somebody else removes a layer of both at the same moment."""
_TRIES = 5


class TemporaryImages:
    """Removes what one controller built."""

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine = engine
        self._owner = owner
        self._built: set[str] | None = None
        """Environments that may have images; None before the first look. It spares calls."""
        self._expected: set[str] = set()
        self._in_use: set[str] = set()
        """Ids of images that could not be removed: they are not listed again and again."""

    def expect(self, tag: str) -> None:
        """An image of that tag is going to be built."""
        if environment := environment_of_tag(tag):
            self._expected.add(environment)

    async def environments(self) -> set[str]:
        """Environments that have an image, unless somebody else uses it."""
        found = [image for image in await self._images() if image["Id"] not in self._in_use]
        return {environment_of_image(image) for image in found} - {""}

    async def remove(self, environment: str) -> None:
        """Removes the environment's images; what is in use elsewhere stays, and is no error."""
        if self._built is None:
            self._built = {environment_of_image(image) for image in await self._images(environment)}
        if environment not in self._built | self._expected:
            return
        for image in await self._images(environment):
            if environment_of_image(image) == environment:
                await self._remove(image, environment)
        self._built.discard(environment)
        self._expected.discard(environment)

    async def _images(self, environment: str = "") -> list[Mapping[str, Any]]:
        ours = {"label": f"{LABEL_CONTROLLER}={self._owner.controller_id}"}

        def look(client: APIClient) -> list[Mapping[str, Any]]:
            return list(client.images(filters=ours))

        return await self._engine.call("list images", look, environment=environment)

    async def _remove(self, image: Mapping[str, Any], environment: str) -> None:
        try:
            await self._engine.call(
                "remove image", lambda client: remove_image(client, image), environment=environment
            )
        except DriverError as error:
            _LOG.warning("%s; it stays", error)
            self._in_use.add(str(image["Id"]))


def image_labels(tag: str, owner: Owner) -> dict[str, str]:
    """The labels of an image to be built. Its containers inherit them, so no kind may be among them."""
    environment = environment_of_tag(tag)
    return owner.labels | ({LABEL_ENVIRONMENT: environment} if environment else {})


def environment_of_image(image: Mapping[str, Any]) -> str:
    """The environment for which a listed image was built; "" where it is not temporary.

    Somebody may have made another image of ours: that one has our labels, but a name of its own.
    """
    tags = _tags(image)
    if not tags:
        return str((image.get("Labels") or {}).get(LABEL_ENVIRONMENT, ""))
    return next(filter(None, map(environment_of_tag, tags)), "")


def remove_image(client: APIClient, image: Mapping[str, Any]) -> None:
    """Takes our tags away; the image itself goes with the last one. Raises `APIError` where it is in use.

    Without force: neither containers nor tags of others lose their image.
    """
    for name in [tag for tag in _tags(image) if environment_of_tag(tag)] or [str(image["Id"])]:
        try:
            _remove_name(client, name)
        except NotFound:
            continue
        except APIError as error:
            if error.status_code != _CONFLICT:
                raise
            raise DriverError(f"the image {name} is in use: {error.explanation}", retry=False) from error


def _remove_name(client: APIClient, name: str) -> None:
    for tries in range(1, _TRIES + 1):
        try:
            client.remove_image(name)
        except APIError as error:
            if tries == _TRIES or _TAKEN_TOGETHER not in str(error.explanation):
                raise
        else:
            return


def _tags(image: Mapping[str, Any]) -> list[str]:
    return [tag for tag in image.get("RepoTags") or () if tag != _NO_TAG]
