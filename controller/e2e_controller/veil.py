"""Hides what is known to be secret from all that is told: statuses, events, errors, logs."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from e2e_controller.drivers.base import Key
from e2e_controller.masking import Mask, secrets_in_manifest, worth_hiding
from e2e_controller.objects import Object, ObjectStatus

_KEPT = 3
"""Values that a secret had before: the container of before may still tell them."""


class Veil:
    """The secrets of all objects, by environment: what one sends, another one's log may show."""

    def __init__(self) -> None:
        self._in_manifests: dict[Key, frozenset[str]] = {}
        self._from_sources: dict[Key, deque[frozenset[str]]] = {}
        self._masks: dict[str, Mask] = {}
        """By environment; "" for all."""

    def changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """To be called with each change of an object; None: it was, or is, not there."""
        if after is None:
            known = self._in_manifests.pop(key, None), self._from_sources.pop(key, None)
            if any(known):
                self._outdated(key)
        elif before is None or before.manifest is not after.manifest:
            self._set(key, frozenset(secrets_in_manifest(after.manifest)))

    def know(self, key: Key, contents: Iterable[bytes]) -> None:
        """What was just read for an object."""
        texts = (content.decode("utf-8", "surrogateescape").strip() for content in contents)
        found = frozenset(worth_hiding(texts))
        known = self._from_sources.setdefault(key, deque(maxlen=_KEPT))
        if found and found not in known:
            known.append(found)
            self._add(key, found)

    def secrets(self, environment: str = "") -> set[str]:
        """All that is known of an environment, or of all."""
        sets = [found for key, found in self._in_manifests.items() if environment in ("", key.environment)]
        for key, values in self._from_sources.items():
            if environment in ("", key.environment):
                sets += values
        return set[str]().union(*sets)

    def mask(self, environment: str = "") -> Mask:
        """What hides the secrets of an environment, or of all."""
        if environment not in self._masks:
            self._masks[environment] = Mask(self.secrets(environment))
        return self._masks[environment]

    def hide(self, text: str) -> str:
        """The text without any secret."""
        return self.mask().hide_text(text)

    def hide_in(self, key: Key, text: str) -> str:
        """The text about an object without the secrets of its environment."""
        return self.mask(key.environment).hide_text(text)

    def hidden(self, key: Key, status: ObjectStatus) -> ObjectStatus:
        """The status without the secrets of the object's environment."""
        mask = self.mask(key.environment)
        if mask.hides_nothing:
            return status
        hide = mask.hide_text
        past, probe, container = status.past, status.probe, status.container
        if past is not None:
            past = replace(past, log_lines=tuple(map(hide, past.log_lines)))
        if probe is not None:
            probe = replace(probe, request=hide(probe.request), answer=hide(probe.answer))
        if container is not None and (container.error or container.health_output):
            error, output = hide(container.error), hide(container.health_output)
            container = replace(container, error=error, health_output=output)
        return replace(
            status,
            conditions=tuple(replace(one, message=hide(one.message)) for one in status.conditions),
            progress=hide(status.progress),
            last_log_lines=tuple(map(hide, status.last_log_lines)),
            past=past,
            probe=probe,
            container=container,
        )

    def _set(self, key: Key, found: frozenset[str]) -> None:
        before = self._in_manifests.get(key, frozenset())
        if found == before:
            return
        self._in_manifests[key] = found
        if before <= found:
            self._add(key, found)
        else:
            self._outdated(key)

    def _add(self, key: Key, found: Iterable[str]) -> None:
        for environment in ("", key.environment):
            if environment in self._masks:
                self._masks[environment].add(found)

    def _outdated(self, key: Key) -> None:
        self._masks.pop(key.environment, None)
        self._masks.pop("", None)
