"""How a test makes the fake misbehave, and sees what it was asked."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from e2e_controller.drivers.base import (
    NAME_IS_FREE,
    ContainerEvent,
    ContainerGone,
    ContainerSpec,
    DriverError,
    EngineUnavailable,
    Guest,
    Health,
    Key,
    Output,
)
from e2e_controller.drivers.fake import creation
from e2e_controller.drivers.fake.engine import FakeContainer, FakeEngine

READS = frozenset(
    {
        "connect",
        "info",
        "inspect",
        "inspect_network",
        "image_present",
        "list_containers",
        "list_environments",
        "list_things",
        "logs",
        "copy_out",
        "describe",
        "find_guest",
    }
)


class Control:
    """Records calls, delays them, fails them, lets them hang; and does what happens in containers."""

    def __init__(
        self, controller_id: str, engine: FakeEngine, latency: Mapping[str, float] | None = None
    ) -> None:
        self.controller_id = controller_id
        self.engine = engine
        self.available = True
        """Whether the engine answers."""
        self.containers_reachable = True
        """Whether containers have addresses that this process seems to reach; nothing answers there."""
        self.own: Guest | None = None
        """The container that this process is to run in."""
        self.calls: list[str] = []
        """All calls, such as `create thanos/Workload/query-1`; the first word is the operation."""
        self.latency = dict(latency or {})
        """Seconds that an operation takes."""
        self._faults: defaultdict[str, list[DriverError]] = defaultdict(list)
        self._hanging: dict[str, asyncio.Event] = {}

    @property
    def changes(self) -> list[str]:
        """The calls that change something, or could."""
        return [call for call in self.calls if call.partition(" ")[0] not in READS]

    def fail(self, operation: str, error: DriverError, times: int = 1) -> None:
        """The next calls of the operation raise that error."""
        self._faults[operation] += [error] * times

    def hang(self, operation: str) -> None:
        """Calls of the operation do not return, until `release`."""
        self._hanging.setdefault(operation, asyncio.Event())

    def release(self, operation: str) -> None:
        """Lets hanging calls go on."""
        if (event := self._hanging.pop(operation, None)) is not None:
            event.set()

    async def enter(self, operation: str, subject: str = "") -> None:
        """To be awaited at the beginning of each call."""
        self.calls.append(f"{operation} {subject}".strip())
        await asyncio.sleep(self.latency.get(operation, 0))
        if (event := self._hanging.get(operation)) is not None:
            await event.wait()
        if self._faults[operation]:
            raise self._faults[operation].pop(0)
        if not self.available:
            raise EngineUnavailable("the fake engine does not answer", remedy="set `available`")

    async def enter_container(self, operation: str, container_id: str, more: str = "") -> FakeContainer:
        """The same for a call about one container, which may go meanwhile. Raises `ContainerGone`."""
        container = self.engine.find(container_id)
        subject = str(container.view.key) if container else container_id
        await self.enter(operation, f"{subject} {more}".strip())
        container = self.engine.find(container_id)
        if container is None:
            raise ContainerGone(f"{operation} {subject}: no such container")
        return container

    @property
    def images(self) -> set[str]:
        """References that are there."""
        return set(self.engine.images)

    def container(self, key: Key) -> FakeContainer:
        """The container of that key, with all its insides. Raises KeyError."""
        return self.engine.containers[creation.container_name(key)]

    def exit(self, key: Key, code: int, logs: bytes = b"", *, oom: bool = False) -> None:
        """Ends a container by itself."""
        if logs:
            self.log(key, logs)
        self.engine.end(self.container(key), code, oom=oom)

    def log(self, key: Key, data: bytes, stream: str = "stdout") -> None:
        """Lets a container write."""
        self.engine.log(self.container(key), Output("stderr" if stream == "stderr" else "stdout", data))

    def set_health(self, key: Key, health: Health) -> None:
        """Changes what the image's HEALTHCHECK says."""
        container = self.container(key)
        container.view = replace(container.view, health=health)
        self.engine.emit(container, "health_status")

    def add_foreign(self, key: Key, owner: str = "") -> None:
        """Somebody else's container takes the key's name."""
        creation.add(self.engine, owner, key, ContainerSpec(image="foreign"), "", finished=True)

    def add_unfinished(self, key: Key, spec: ContainerSpec, spec_hash: str) -> None:
        """What a controller leaves that is killed in the middle of a creation."""
        creation.add(self.engine, self.controller_id, key, spec, spec_hash, finished=False)

    def remove_behind_the_back(self, key: Key) -> None:
        """As `docker rm -f` by hand."""
        creation.drop(self.engine, self.container(key))

    def rename_behind_the_back(self, key: Key, name: str) -> None:
        """As `docker rename` by hand."""
        self.engine.rename(creation.container_name(key), name)
        for owner, queue in self.engine.followers:
            if owner == self.controller_id:
                queue.put_nowait(ContainerEvent(None, "stray"))

    def free_name(self, key: Key) -> None:
        """Somebody else's container that has the key's name is removed."""
        del self.engine.containers[creation.container_name(key)]
        for owner, queue in self.engine.followers:
            if owner == self.controller_id:
                queue.put_nowait(ContainerEvent(key, NAME_IS_FREE))

    def break_events(self) -> None:
        """The stream of events breaks and comes back; what happened in between is lost."""
        self._interrupt("disconnected", "reconnected")

    def go_away(self) -> None:
        """The engine ends, with its stream of events."""
        self.available = False
        self._interrupt("disconnected")

    def come_back(self) -> None:
        """The engine is there again."""
        self.available = True
        self._interrupt("reconnected")

    def _interrupt(self, *actions: str) -> None:
        for _, queue in self.engine.followers:
            while not queue.empty():
                queue.get_nowait()
            for action in actions:
                queue.put_nowait(ContainerEvent(None, action))
