"""A fake driver that misbehaves at chosen calls, as engines and machines do."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast, get_args

from e2e_controller.drivers.base import (
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerPhase,
    ContainerSpec,
    Copied,
    DriverError,
    EngineUnavailable,
    FileContent,
    Key,
    ListedContainer,
    Output,
    PullProgress,
)
from e2e_controller.drivers.fake.driver import FakeDriver
from e2e_controller.drivers.fake.processes import FakeExec

Answer = TypeVar("Answer")
FaultKind = Literal[
    "fail",  # the engine answers 500, and has done nothing
    "unavailable",  # it does not answer, and has done nothing
    "break",  # it has done it, and closes the stream in mid-answer
    "hang",  # it does not answer until the driver's patience ends, and has done nothing
    "late",  # the same, but it has done it
    "lie",  # it answers the opposite of the truth; says that it did what it did not do
    "past",  # it answers what was true at the last call of the kind
    "crash before",  # the controller is killed before the call
    "crash after",  # the controller is killed after the call
    "lose events",  # the next events are never told
    "repeat events",  # the next events are told twice
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
PATIENCE = 60.0
"""Seconds until the driver gives a call up that hangs."""
EVENTS = 5
"""How many events are lost, or told twice."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at the driver's n-th call; the first one is 1."""

    at: int
    kind: FaultKind

    def __str__(self) -> str:
        return f"{self.kind} at call {self.at}"


class FaultyDriver(FakeDriver):
    """A `FakeDriver` to which faults happen. Numbers every call but those that connect it."""

    def __init__(
        self, controller_id: str = "fake", *, faults: Iterable[Fault] = (), pace: float = 0.0, **options: Any
    ) -> None:
        """`pace`: how long each call takes, in seconds."""
        super().__init__(controller_id, **options)
        self._pace = pace
        self.count = 0
        """How many calls there were."""
        self.struck: list[tuple[Fault, str]] = []
        """The faults that happened, and to which operation."""
        self.crashed = asyncio.Event()
        """Set when the controller is to be taken for killed. No call returns then, and none does anything."""
        self._script = {fault.at: fault for fault in faults}
        self._answers: dict[tuple[str, str], Any] = {}
        self._lost = 0
        self._repeated = 0

    async def events(self) -> AsyncGenerator[ContainerEvent, None]:
        """What happens, as far as it is told."""
        async for event in super().events():
            if self.crashed.is_set():
                await _for_ever()
            if event.key is not None and self._lost:
                self._lost -= 1
                continue
            yield event
            if event.key is not None and self._repeated:
                self._repeated -= 1
                yield event

    async def list_containers(self) -> Sequence[ListedContainer]:
        """Or none, or one that is not there."""
        ghost = [ListedContainer(Key("ghost", "Workload", "ghost"), "ghost", ContainerPhase.RUNNING)]
        return await self._call(
            "list_containers", "", super().list_containers, lambda true: [] if true else ghost
        )

    async def list_environments(self) -> Mapping[str, str]:
        """Or none, or one that is not there."""
        return await self._call(
            "list_environments", "", super().list_environments, lambda true: {} if true else {"ghost": ""}
        )

    async def inspect(self, key: Key) -> Container | None:
        """Or nothing, or what is not there."""
        look = super().inspect
        return await self._call(
            "inspect", str(key), lambda: look(key), lambda true: None if true else _ghost(key)
        )

    async def ensure_network(self, environment: str) -> str:
        """Or another network's id."""
        ensure = super().ensure_network
        return await self._call(
            "ensure_network", environment, lambda: ensure(environment), lambda _: "f" * 64
        )

    async def inspect_network(self, environment: str) -> str | None:
        """Or none, or another network's id."""
        look = super().inspect_network
        return await self._call(
            "inspect_network", environment, lambda: look(environment), lambda true: None if true else "f" * 64
        )

    async def remove_environment(self, environment: str) -> None:
        """Or not."""
        remove = super().remove_environment
        await self._change("remove_environment", lambda: remove(environment))

    async def image_present(self, reference: str, environment: str = "") -> bool:
        """Or the opposite."""
        look = super().image_present
        return await self._call(
            "image_present", reference, lambda: look(reference, environment), lambda true: not true
        )

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Or not."""
        pull = super().pull
        await self._change("pull", lambda: pull(reference, progress))

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Or not."""
        build = super().build
        await self._change("build", lambda: build(spec, progress))

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Or not."""
        create = super().create
        return await self._change("create", lambda: create(key, spec, spec_hash, copied), "f" * 64)

    async def put_files(self, container_id: str, files: Sequence[FileContent]) -> None:
        """Or not."""
        put = super().put_files
        await self._change("put_files", lambda: put(container_id, files))

    async def start_container(self, container_id: str) -> None:
        """Or not."""
        start = super().start_container
        await self._change("start", lambda: start(container_id))

    async def stop(self, container_id: str, grace: float) -> None:
        """Or not."""
        stop = super().stop
        await self._change("stop", lambda: stop(container_id, grace))

    async def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Or not."""
        kill = super().kill
        await self._change("kill", lambda: kill(container_id, signal))

    async def pause(self, container_id: str) -> None:
        """Or not."""
        pause = super().pause
        await self._change("pause", lambda: pause(container_id))

    async def unpause(self, container_id: str) -> None:
        """Or not."""
        unpause = super().unpause
        await self._change("unpause", lambda: unpause(container_id))

    async def remove(self, container_id: str) -> None:
        """Or not."""
        remove = super().remove
        await self._change("remove", lambda: remove(container_id))

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        stdin: bool = False,
    ) -> FakeExec:
        """Fails, or hangs; about a command nothing is made up."""
        run = super().exec

        def begin() -> Awaitable[FakeExec]:
            return run(container_id, command, env=env, user=user, working_dir=working_dir, stdin=stdin)

        return await self._change("exec", begin)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[Output, None]:
        """Fails, or hangs, at its beginning."""
        await self._change("logs", lambda: asyncio.sleep(0))
        lines = super().logs(container_id, follow=follow, tail=tail, since=since, timestamps=timestamps)
        async for output in lines:
            yield output

    async def remove_tree(self, path: str) -> None:
        """Or not."""
        remove = super().remove_tree
        await self._change("remove_tree", lambda: remove(path))

    async def _change(
        self, operation: str, work: Callable[[], Awaitable[Answer]], answer: Any = None
    ) -> Answer:
        """A call that changes something: a lie is not to do it, and to give that answer."""
        self.count += 1
        fault = self._script.get(self.count)
        if fault is not None and fault.kind in ("lie", "past") and operation not in ("exec", "logs"):
            self.struck.append((fault, operation))
            await asyncio.sleep(self._pace)
            return cast("Answer", answer)
        return await self._go(operation, fault, work)

    async def _call(
        self,
        operation: str,
        subject: str,
        work: Callable[[], Awaitable[Answer]],
        lie: Callable[[Answer], Answer],
    ) -> Answer:
        """A call that asks something."""
        self.count += 1
        fault = self._script.get(self.count)
        before = self._answers.get((operation, subject))
        answer = await self._go(operation, fault, work)
        self._answers[operation, subject] = answer
        if fault is not None and fault.kind == "lie":
            return lie(answer)
        if fault is not None and fault.kind == "past":
            return cast("Answer", before) if before is not None else lie(answer)
        return answer

    async def _go(self, operation: str, fault: Fault | None, work: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.crashed.is_set():
            await _for_ever()
        await asyncio.sleep(self._pace)
        if fault is None:
            return await work()
        self.struck.append((fault, operation))
        await self._before(operation, fault)
        try:
            answer = await work()
        except DriverError:  # also what is refused can be told too late, or to nobody
            await self._after(operation, fault)
            raise
        await self._after(operation, fault)
        return answer

    async def _before(self, operation: str, fault: Fault) -> None:
        match fault.kind:
            case "fail":
                raise DriverError(f"{operation}: 500 internal server error")
            case "unavailable":
                raise EngineUnavailable(f"{operation}: connection refused")
            case "hang":
                await asyncio.sleep(PATIENCE)
                raise EngineUnavailable(f"{operation}: no answer within {PATIENCE:g}s")
            case "crash before":
                await self._crash()
            case "lose events":
                self._lost = EVENTS
            case "repeat events":
                self._repeated = EVENTS

    async def _after(self, operation: str, fault: Fault) -> None:
        match fault.kind:
            case "break":
                raise EngineUnavailable(f"{operation}: the connection was closed in mid-answer")
            case "late":
                await asyncio.sleep(PATIENCE)
                raise EngineUnavailable(f"{operation}: no answer within {PATIENCE:g}s")
            case "crash after":
                await self._crash()

    async def _crash(self) -> None:
        self.crashed.set()
        await _for_ever()


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _ghost(key: Key) -> Container:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    container = Container("f" * 64, key, "no-hash", "no-image", ContainerPhase.EXITED, long_ago)
    return replace(container, started_at=long_ago, finished_at=long_ago, exit_code=0)
