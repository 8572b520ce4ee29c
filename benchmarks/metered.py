"""What a contender's work costs the processor, beside what the whole machine does meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.contenders import Contender
from benchmarks.gauge import machine_processor, usage


@dataclass(frozen=True, slots=True)
class Work:
    """Processor seconds: of the contender's client and its controller, and of everybody."""

    own: float
    machine: float


@dataclass(slots=True)
class Metered:
    """A contender that is watched; `pid` is its controller's, its client is this process."""

    contender: Contender
    pid: int
    ups: list[Work] = field(default_factory=list)
    downs: list[Work] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The contender's."""
        return self.contender.name

    def prepare(self, size: int) -> None:
        """The contender's."""
        self.contender.prepare(size)

    def up(self) -> None:
        """The contender's, watched."""
        self.ups.append(self._watch(self.contender.up))

    def down(self) -> None:
        """The contender's, watched."""
        self.downs.append(self._watch(self.contender.down))

    def _watch(self, function: Callable[[], None]) -> Work:
        own, machine = self._own(), machine_processor()
        function()
        return Work(self._own() - own, machine_processor() - machine)

    def _own(self) -> float:
        return usage(self.pid).processor + time.process_time()
