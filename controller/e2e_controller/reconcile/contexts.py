"""What images are built of, as of the last look.

A look reads the whole folder, so there is one for each change of the manifest, for each Apply, and for each
start of the controller; not one for each reconcile.
"""

from dataclasses import dataclass, replace

from e2e_controller.drivers.base import BuildSpec, Driver, DriverError, Key
from e2e_controller.objects import Object
from e2e_controller.reconcile.desired import DIGEST_LENGTH, build_spec, digest_of_built


@dataclass(frozen=True, slots=True)
class _Look:
    generation: int
    build: BuildSpec
    digest: str


class Contexts:
    """Completes objects that are built with the digest of their build context."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._looks: dict[Key, _Look] = {}

    async def complete(self, object_: Object) -> Object:
        """With the digest as of the last look."""
        build = build_spec(object_)
        if build is None:
            self._looks.pop(object_.key, None)
            return object_
        look = self._looks.get(object_.key)
        if look is None or not look.digest or (look.generation, look.build) != (object_.generation, build):
            look = _Look(object_.generation, build, await self._digest(object_.key, build))
            self._looks[object_.key] = look
        return replace(object_, build_context=look.digest)

    async def fresh(self, object_: Object) -> Object:
        """With the digest as of now, which is not kept."""
        build = build_spec(object_)
        return replace(object_, build_context=await self._digest(object_.key, build)) if build else object_

    async def changed(self, object_: Object) -> bool:
        """Whether the folder has changed since the last look."""
        look = self._looks.get(object_.key)
        return look is not None and (await self.fresh(object_)).build_context not in ("", look.digest)

    async def _digest(self, key: Key, build: BuildSpec) -> str:
        """Where the folder cannot be read, that is no reason to replace what was built of it."""
        if digest := await self._driver.context_digest(build):
            return digest[:DIGEST_LENGTH]
        try:
            container = await self._driver.inspect(key)
        except DriverError:
            return ""
        return digest_of_built(container.image) if container else ""
