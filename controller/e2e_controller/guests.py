"""Who is in the environments' networks without being ours: this process's container, and those of callers."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from e2e_controller.drivers.base import Driver, DriverError, EngineInfo
from e2e_controller.flight import SingleFlight

log = logging.getLogger(__name__)


class Guests:
    """Takes them in when they have something to reach there, and out when they have no more."""

    def __init__(self, driver: Driver, info: EngineInfo) -> None:
        self._driver = driver
        own = info.own
        self._own = own.network_of if own is not None and not own.on_host_network else ""
        self._inside: dict[str, set[str]] = {}
        """Who was taken into each environment's network, as far as is known."""
        self._holding: dict[str, Counter[str]] = {}
        """How often each holds the environment."""
        self._joining: SingleFlight[tuple[str, str], None] = SingleFlight()

    @property
    def has_own(self) -> bool:
        """Whether this process reaches workloads only by being in their networks."""
        return self._own != ""

    async def reach(self, environment: str) -> None:
        """Makes the environment's containers reachable from here. Raises `DriverError`."""
        if self._own:
            await self.admit(environment, self._own)

    async def admit(self, environment: str, container_id: str) -> None:
        """Takes a container into the environment's network, unless it is there. Raises `DriverError`."""
        if container_id not in self._inside.get(environment, ()):
            await self._joining.run(
                (environment, container_id), lambda: self._admit(environment, container_id)
            )

    def is_inside(self, environment: str, container_id: str) -> bool:
        """Whether it was taken in."""
        return container_id in self._inside.get(environment, ())

    @asynccontextmanager
    async def holding(self, environment: str, container_id: str) -> AsyncIterator[None]:
        """Has a container in the environment's network, from when there is one until the context ends."""
        holders = self._holding.setdefault(environment, Counter())
        holders[container_id] += 1
        try:
            with suppress(DriverError):  # there may be no network yet; else it is told with an address
                await self.admit(environment, container_id)
            yield
        finally:
            holders[container_id] -= 1
            if not holders[container_id]:
                del holders[container_id]
                if container_id != self._own:
                    await self._dismiss(environment, container_id)
            if not holders:
                self._holding.pop(environment, None)

    async def settle(self, environment: str) -> None:
        """Takes in all who hold the environment: the network may be new, or they were taken out by hand.

        What fails is tried again when somebody needs it, and told then.
        """
        self._inside.pop(environment, None)
        for container_id in list(self._holding.get(environment, ())):
            try:
                await self.admit(environment, container_id)
            except DriverError as error:
                log.warning("%s", error)

    async def reach_early(self, environment: str) -> None:
        """As `reach`, before it is needed; what fails is told when it is."""
        with suppress(DriverError):
            await self.reach(environment)

    def forget(self, environment: str) -> None:
        """Its network is gone, and with it everybody in it."""
        self._inside.pop(environment, None)

    async def aclose(self) -> None:
        """Takes everybody out, so that these containers can be started again when the networks are gone."""
        inside = [(environment, guest) for environment, guests in self._inside.items() for guest in guests]
        await asyncio.gather(*(self._dismiss(environment, guest) for environment, guest in inside))

    async def _admit(self, environment: str, container_id: str) -> None:
        await self._driver.admit(environment, container_id)
        self._inside.setdefault(environment, set()).add(container_id)

    async def _dismiss(self, environment: str, container_id: str) -> None:
        if not self.is_inside(environment, container_id):
            return
        self._inside[environment].discard(container_id)
        try:
            await self._driver.dismiss(environment, container_id)
        except DriverError as error:
            log.warning("%s", error)
