"""Who reads what changes in the store, at its own pace."""

import asyncio
from collections.abc import Callable
from typing import Self

from e2e_controller.drivers.base import Key


class Subscription:
    """The keys that changed, for one reader; each stands there once, however often it changed."""

    def __init__(self, subscriptions: "set[Subscription]", matches: Callable[[Key], bool]) -> None:
        self._subscriptions = subscriptions
        self._matches = matches
        self._changed: dict[Key, None] = {}
        self._event = asyncio.Event()

    def push(self, key: Key) -> None:
        """Notes a change."""
        if self._matches(key):
            self._changed[key] = None
            self._event.set()

    async def changed(self) -> list[Key]:
        """Waits for changes, and takes them, in order of their first."""
        await self._event.wait()
        self._event.clear()
        keys = list(self._changed)
        self._changed.clear()
        return keys

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops collecting."""
        self._subscriptions.discard(self)
