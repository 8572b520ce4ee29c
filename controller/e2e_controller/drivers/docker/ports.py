"""Host ports that the driver chooses, so that they stay the same over stop and start."""

import functools
import random
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from e2e_controller.drivers.base import DriverError, PortSpec, PortTaken
from e2e_controller.drivers.docker.endpoint import LOOPBACK

RANGE = range(20000, 32768)
"""Below the ports that the kernel gives to outgoing connections."""

PORT_REMEDY = "end that, or take another hostPort, or none: then a free one is chosen"

_KEPT = 60.0
"""Seconds for which a port that was handed out is not handed out again."""
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class PortChooser:
    """Hands out ports that bind and that no container known here has.

    Another process may take one before the container starts; the start then fails with `PortTaken`.
    """

    def __init__(
        self,
        ports: range = RANGE,
        clock: Callable[[], float] = time.monotonic,
        binds: Callable[[int, str], bool] | None = None,
    ) -> None:
        self._ports = ports
        self._clock = clock
        self._binds = binds or functools.partial(binds_on, LOOPBACK)
        self._next = random.randrange(len(ports))  # noqa: S311 - only spreads, hides nothing  # nosec B311
        self._recent: dict[int, float] = {}

    def choose(self, protocol: str, taken: Iterable[int]) -> int:
        """A free port that is none of `taken`. Raises `PortTaken` where there is none."""
        now, taken = self._clock(), set(taken)
        self._recent = {port: until for port, until in self._recent.items() if until > now}
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            if port not in self._recent and port not in taken and self._binds(port, protocol):
                self._recent[port] = now + _KEPT
                return port
        first, last = self._ports[0], self._ports[-1]
        raise PortTaken(
            f"no port from {first} to {last} is free",
            chosen=True,
            remedy="stop programs or containers that listen there",
        )

    def assign(
        self,
        ports: Mapping[str, PortSpec],
        taken: Iterable[int],
        kept: Mapping[str, int] = MappingProxyType({}),
    ) -> tuple[dict[str, int], list[int]]:
        """A host port for each `8080/tcp`-like port, and those of them that were chosen.

        `kept` are those of a container that is gone, to be chosen again where they are free.
        """
        taken = {*taken, *(port.host_port for port in ports.values() if port.host_port)}
        assigned: dict[str, int] = {}
        chosen: list[int] = []
        for port in ports.values():
            name = f"{port.container_port}/{port.protocol}"
            number = port.host_port
            if number is None:
                before = kept.get(name)
                if before is not None and self._keeps(before, port.protocol, taken):
                    number = before
                else:
                    number = self.choose(port.protocol, {*taken, *kept.values()})
                chosen.append(number)
            if name in assigned:
                raise DriverError(f"{name} stands twice in the ports", retry=False)
            assigned[name] = number
        return assigned, chosen

    def _keeps(self, port: int, protocol: str, taken: set[int]) -> bool:
        """Whether it is a port that was chosen, and is free; nobody else is given it then."""
        if port not in self._ports or port in taken or not self._binds(port, protocol):
            return False
        self._recent[port] = self._clock() + _KEPT
        return True


def no_container_has(port: int) -> str:
    """Who has a port that no container publishes."""
    return (
        f"no container of this engine has port {port}, so another program does "
        f"(`ss -ltnp 'sport = :{port}'` as root on the engine's host names it)"
    )


def binds_on(address: str, port: int, protocol: str) -> bool:
    """Whether nothing has that port of that address now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, _KINDS[protocol]) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def address_of_host(host: str) -> str:
    """The IP address by which a host is reached. Raises OSError."""
    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
