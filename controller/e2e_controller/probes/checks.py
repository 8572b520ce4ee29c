"""What a probe asks and where."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from e2e_api.addresses import host_and_port
from e2e_api.manifests import Port
from e2e_controller.drivers.base import Container, DriverError, EngineInfo


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in words for a person."""

    ready: bool
    text: str


class Target(NamedTuple):
    """Where a port of a container is reached. `proxied`: by way of the engine's port proxy."""

    host: str
    port: int
    proxied: bool = False

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


class PolledCheck(ABC):
    """A question that is asked again and again."""

    request: str
    """What is asked, such as `GET http://172.17.0.2:9090/-/ready`."""
    rest: float = 0.0
    """At least how many times its own length an attempt is rested from."""

    @abstractmethod
    async def attempt(self) -> Answer:
        """Asks once; the caller bounds the time by cancelling."""


class ReachedCheck(PolledCheck):
    """A question over a network that this process has to be in first."""

    def __init__(self, check: PolledCheck, reach: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self._reach = reach
        self.request = check.request
        self.rest = check.rest

    async def attempt(self) -> Answer:
        """Not ready while the network cannot be had."""
        try:
            await self._reach()
        except DriverError as error:
            return Answer(False, str(error))
        return await self._check.attempt()


class PushedCheck(ABC):
    """An answer that comes by itself."""

    request: str

    @abstractmethod
    def look(self) -> Answer:
        """The answer as of now."""

    async def follow(self, tell: Callable[[], None]) -> None:  # noqa: B027 - most have nothing to do
        """Keeps the answer current, calls `tell` when `look` may say something else; may end."""


Check = PolledCheck | PushedCheck


def address_of(info: EngineInfo, container: Container, port: Port) -> Target | None:
    """Where this process reaches a container's port; None where it cannot."""
    if info.containers_reachable and container.address:
        return Target(container.address, port.container_port)
    published = container.host_ports.get(f"{port.container_port}/{port.protocol}")
    if not published or not container.host_address:
        return None
    return Target(container.host_address, published, proxied=True)
