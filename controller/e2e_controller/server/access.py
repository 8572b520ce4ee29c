"""What every servicer needs: the store, and a fresh look at the folders."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from e2e_api.callers import MARGIN_HEADER
from e2e_api.errors import InvalidArgument, NotRunning
from e2e_controller.drivers.base import Container, ContainerPhase, Driver, EngineInfo, Key
from e2e_controller.guests import Guests
from e2e_controller.objects import Object
from e2e_controller.server.errors import not_found
from e2e_controller.server.standpoints import Standpoint, Standpoints
from e2e_controller.store import Store
from e2e_controller.veil import Veil

FOREVER = 10 * 365 * 24 * 3600.0
_MARGIN = 0.2


@dataclass(frozen=True, slots=True)
class Access:
    """Reads for servicers."""

    store: Store
    driver: Driver
    info: EngineInfo
    guests: Guests
    sync_folders: Callable[[], Awaitable[None]]
    """Takes in what was written to the folders before the call."""
    veil: Veil
    """What hides secrets."""

    async def standpoint(self, context: Any) -> Standpoint:
        """Where the caller is. Raises `InvalidArgument` for one that says that it is where it is not."""
        found = await Standpoints(self.driver, self.info, self.guests).of(context)
        return replace(found, veil=self.veil)

    async def find(self, key: Key) -> Object:
        """The object, or `NotFound`, after a fresh look at the folders."""
        await self.sync_folders()
        object_ = self.store.get(key)
        if object_ is None:
            raise not_found(key)
        return object_

    async def running(self, key: Key) -> Container:
        """The container, from a fresh look; `NotRunning` where there is none that runs."""
        object_ = await self.find(key)
        container = await self.driver.inspect(key)
        if container is None or container.phase is not ContainerPhase.RUNNING:
            raise NotRunning(f"{key} does not run: {_state_of(container)}; it is {object_.status.summary}")
        return container


def _state_of(container: Container | None) -> str:
    if container is None:
        return "there is no container"
    if container.exit_code is not None:
        return f"its container has exited with code {container.exit_code}"
    return f"its container is {container.phase}"


def time_limit(context: Any) -> float:
    """The loop time at which a wait must end, so that its evidence arrives before the client gives up."""
    remaining = context.time_remaining()
    seconds = FOREVER if remaining is None else remaining - _margin(context, remaining)
    return asyncio.get_running_loop().time() + max(0.0, min(seconds, FOREVER))


def _margin(context: Any, remaining: float) -> float:
    """How many seconds before the deadline: as many as the caller says, and a few where it does not."""
    said = dict(context.invocation_metadata() or ()).get(MARGIN_HEADER)
    if said is None:
        return min(_MARGIN, remaining / 2)
    if not isinstance(said, str) or not re.fullmatch(r"\d{1,3}(\.\d{1,3})?", said):
        message = f"metadata {MARGIN_HEADER}: expected seconds such as 0.5, not {said[:20]!r}"
        raise InvalidArgument(message, reason="BadCaller")
    return float(said)
