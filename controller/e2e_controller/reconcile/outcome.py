"""How the execution of a plan went, and why a step of it could not be done."""

from dataclasses import dataclass
from datetime import datetime

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import DriverError
from e2e_controller.objects import PastContainer, Phase
from e2e_controller.reconcile.steps import Waiting

MAX_MESSAGE = 4_000
"""Characters of what an engine says that are kept."""
_NEEDS_A_PERSON = (Reason.PORT_TAKEN, Reason.NAME_CONFLICT)
"""Tried again, since the cause may go away, but told as failures: nothing of ours will make it go."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step could not be done."""

    reason: str
    message: str
    retry: bool

    @classmethod
    def of(cls, error: DriverError) -> "Failure":
        """The failure that an error of a driver is."""
        return cls(str(error.reason), str(error)[:MAX_MESSAGE], error.retry)

    @property
    def terminal(self) -> bool:
        """Whether waiting is in vain unless somebody does something."""
        return not self.retry or self.reason in _NEEDS_A_PERSON


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the execution of a plan went."""

    failure: Failure | None = None
    done: int = 0
    """How many steps of the plan."""
    phases: tuple[Phase, ...] = ()
    retry_at: datetime | None = None
    started_again: bool = False
    """A container that was there already."""
    restarted: bool = False
    """As `restartPolicy` asks."""
    created: bool = False
    waiting: Waiting | None = None
    log_lines: tuple[str, ...] = ()
    past: PastContainer | None = None
    """What is kept of the container that was replaced, or started again."""

    @property
    def waiting_for(self) -> str:
        """The phase in which something else has to come first; empty where nothing has to."""
        if self.waiting is None or self.waiting.hopeless:
            return ""
        return "dependencies" if self.waiting.reason == Reason.WAITING_FOR_DEPENDENCIES else "network"
