"""Completes objects with the secrets that they need, and finds those whose secrets have changed."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from e2e_api.conditions import Reason
from e2e_api.manifests import ContainerFields, ValueFrom
from e2e_controller.drivers.base import Key
from e2e_controller.objects import Object
from e2e_controller.secret_sources import SecretSources
from e2e_controller.secret_texts import SecretTexts
from e2e_controller.veil import Veil

SETTLED = 0.1
"""Seconds for which a secret must be the same: few write it by rename."""

log = logging.getLogger(__name__)


class Secrets:
    """Secrets of workloads and jobs: read at each reconcile, so that one that was made again is taken."""

    def __init__(self, sources: SecretSources, veil: Veil) -> None:
        self._sources = sources
        self._veil = veil
        self._told: dict[Key, SecretTexts] = {}
        """As of the last reconcile."""
        self._good: dict[Key, tuple[int, SecretTexts]] = {}
        """Those that were all there, and of which generation."""

    async def complete(self, object_: Object) -> Object:
        """With what it needs, which is told nowhere from now on.

        One that is gone by now is no reason to end what runs with it.
        """
        key, fresh = object_.key, await self.fresh(object_)
        if fresh.secrets is None:
            self._told.pop(key, None)
            self._good.pop(key, None)
            return fresh
        texts = self._told[key] = fresh.secrets
        self._veil.know(key, texts.values.values())
        generation, good = self._good.get(key, (0, texts))
        if texts.problem and generation == object_.generation:
            log.warning("%s goes on with what it has: %s", key, texts.problem, extra={"key": str(key)})
            return replace(fresh, secrets=good)
        if not texts.problem:
            self._good[key] = object_.generation, texts
        return fresh

    async def fresh(self, object_: Object) -> Object:
        """With what it needs, which is not kept."""
        spec = object_.manifest.spec if object_.manifest and not object_.deleting else None
        if not isinstance(spec, ContainerFields) or not spec.secrets:
            return object_
        if any(secret.file is not None for secret in spec.secrets):
            texts = await asyncio.to_thread(self._sources.read, spec.secrets, object_.source)
        else:
            texts = self._sources.read(spec.secrets, object_.source)
        return replace(object_, secrets=_checked(spec, texts))

    async def changed(self, objects: Iterable[Object]) -> list[Key]:
        """The objects whose secrets are not those of the last reconcile, and are not just being written."""
        changed = [(object_, texts) for object_ in objects if (texts := await self._changed(object_))]
        if changed:
            await asyncio.sleep(SETTLED)
        return [object_.key for object_, texts in changed if await self._changed(object_) == texts]

    async def _changed(self, object_: Object) -> SecretTexts | None:
        """What they are now; None where that is known."""
        known = self._told.get(object_.key)
        found = (await self.fresh(object_)).secrets if known is not None else None
        return found if found != known else None


def _checked(spec: ContainerFields, texts: SecretTexts) -> SecretTexts:
    """A variable can hold no NUL, and text only."""
    for name, value in spec.env.items():
        if not isinstance(value, ValueFrom) or texts.problem:
            continue
        content = texts.value(value.value_from)
        try:
            unfit = "\0" in content.decode()
        except UnicodeDecodeError:
            unfit = True
        if unfit:
            problem = f"the secret of {name} is no text that a variable can hold: give it by secretFiles"
            return replace(texts, reason=Reason.SECRET_DENIED, problem=problem)
    return texts
