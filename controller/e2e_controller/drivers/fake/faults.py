"""What goes wrong at chosen calls of a driver, as it does with engines and machines."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Never, TypeVar, cast, get_args

from e2e_controller.drivers.base import DriverError, EngineUnavailable

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


class Faults:
    """Has faults happen to calls, which it numbers."""

    def __init__(self, faults: Iterable[Fault], pace: float) -> None:
        """`pace`: how long each call takes, in seconds."""
        self._pace = pace
        self.count = 0
        """How many calls there were."""
        self.struck: list[tuple[Fault, str]] = []
        """The faults that happened, and to which operation."""
        self.crashed = asyncio.Event()
        """Set when the controller is to be taken for killed. No call returns then, and none does anything."""
        self.lost_events = 0
        """How many of the next events are never told."""
        self.repeated_events = 0
        """How many of the next events are told twice."""
        self._script = {fault.at: fault for fault in faults}
        self._answers: dict[tuple[str, str], Any] = {}

    async def change(
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

    async def ask(
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
            await for_ever()
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
                await _no_answer(operation)
            case "crash before":
                await self._crash()
            case "lose events":
                self.lost_events = EVENTS
            case "repeat events":
                self.repeated_events = EVENTS

    async def _after(self, operation: str, fault: Fault) -> None:
        match fault.kind:
            case "break":
                raise EngineUnavailable(f"{operation}: the connection was closed in mid-answer")
            case "late":
                await _no_answer(operation)
            case "crash after":
                await self._crash()

    async def _crash(self) -> None:
        self.crashed.set()
        await for_ever()


async def for_ever() -> None:
    """Does not return."""
    await asyncio.Event().wait()


async def _no_answer(operation: str) -> Never:
    await asyncio.sleep(PATIENCE)
    raise EngineUnavailable(f"{operation}: no answer within {PATIENCE:g}s")
