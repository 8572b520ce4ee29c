"""What the contract suite works with: a driver, and an environment of its own to try it in."""

import asyncio
import ipaddress
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from e2e_controller.drivers.base import (
    Container,
    ContainerPhase,
    ContainerSpec,
    Driver,
    ExecSession,
    ExitCode,
    Key,
    Output,
    PortTaken,
)
from e2e_controller.drivers.docker import DockerDriver

IMAGE = "docker.io/library/busybox:1.36"
DEADLINE = 60.0
SHORT = 0.5
"""Seconds; a time-out for engines that do not answer."""
LONG = 60.0
"""One for engines that answer at once, whatever the machine does meanwhile."""
LIMIT = 25.0
"""Seconds in which every call with a short time-out has to end; one with the usual has 30, or 60."""
_DICE = random.SystemRandom()  # what others seed gives workers the same range
T = TypeVar("T")
MakeDriver = Callable[..., DockerDriver]


@dataclass
class Bench:
    """A driver, and an environment of its own to try it in."""

    driver: Driver
    environment: str
    state_dir: Path
    make: Callable[[str], Awaitable[Driver]]
    """A driver for a controller, on the same engine."""
    controller_id: str

    def key(self, name: str = "web", kind: str = "Workload") -> Key:
        return Key(self.environment, kind, name)

    def spec(self, **fields: Any) -> ContainerSpec:
        fields.setdefault("command", ("sleep", "1000"))
        return ContainerSpec(image=fields.pop("image", IMAGE), **fields)

    async def create(self, name: str = "web", *, spec_hash: str = "hash", **fields: Any) -> str:
        await self.driver.ensure_network(self.environment)
        return await self.driver.create(self.key(name), self.spec(**fields), spec_hash)

    async def up(self, name: str = "web", **fields: Any) -> str:
        while True:
            container_id = await self.create(name, **fields)
            try:
                await self.driver.start_container(container_id)
            except PortTaken as error:
                if not error.chosen:  # a chosen one may go to another controller of this machine meanwhile
                    raise
                await self.driver.remove(container_id)
            else:
                return container_id

    async def look(self, name: str = "web") -> Container:
        found = await self.driver.inspect(self.key(name))
        assert found is not None
        return found

    async def keys(self) -> list[Key]:
        """Of all containers that the driver lists."""
        return sorted(found.key for found in await self.driver.list_containers())

    async def ended(self, name: str = "web") -> Container:
        """Waits until the container has ended."""
        return await eventually(lambda: self.look(name), lambda found: found.phase is ContainerPhase.EXITED)

    async def other(self) -> Driver:
        """The driver of another controller on the same engine."""
        return await self.make(f"{self.controller_id}-other")

    async def restart(self) -> None:
        """Goes on with a new driver of the same controller, as after a crash."""
        await self.driver.close()
        self.driver = await self.make(self.controller_id)

    async def run(self, container_id: str, *command: str, **options: Any) -> tuple[bytes, bytes, int]:
        return await finish(await self.driver.exec(container_id, command, **options))

    async def log(self, container_id: str, **options: Any) -> bytes:
        return b"".join([piece.data async for piece in self.driver.logs(container_id, **options)])


async def finish(session: ExecSession) -> tuple[bytes, bytes, int]:
    """What a command wrote to its outputs, and how it ended."""
    out = {"stdout": bytearray(), "stderr": bytearray()}
    code = None
    async for piece in session:
        match piece:
            case Output(stream=stream, data=data):
                assert code is None
                out[stream] += data
            case ExitCode(code=code):
                pass
    assert code is not None
    return bytes(out["stdout"]), bytes(out["stderr"]), code


async def eventually(
    look: Callable[[], Awaitable[T]], holds: Callable[[T], object], within: float = DEADLINE
) -> T:
    """Looks again and again until it holds."""
    end = time.monotonic() + within
    while not holds(found := await look()):
        assert time.monotonic() < end, f"still {found}"
        await asyncio.sleep(0.01)
    return found


def own_pool(prefix: int) -> str:
    """An address range for networks that nobody else on the engine has, nor is likely to be given."""
    pool = ipaddress.ip_network((_DICE.randrange(2**16) + (10 << 24 | 202 << 16), 32))
    return str(pool.supernet(new_prefix=prefix))


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """A stream of these pieces."""
    for piece in data:
        yield piece
