"""How long failures that may pass are waited out before whoever waits is told that it is in vain. Pure."""

from dataclasses import dataclass
from datetime import datetime

from e2e_api.conditions import Reason
from e2e_controller.objects import Object
from e2e_controller.reconcile.outcome import Failure

_ATTEMPTS, _SECONDS = 5, 10.0
"""Both must be over; it is tried again all the same."""


@dataclass(frozen=True, slots=True)
class Failing:
    """How often in a row an object could not be made as asked, this time included, and since when."""

    attempts: int = 0
    since: datetime | None = None
    hopeless: bool = False


def failing(object_: Object, failure: Failure | None, now: datetime) -> Failing:
    """How it stands after an attempt that ended with that failure, or with none."""
    if failure is None:
        return Failing()
    previous = object_.status
    before = previous.failed_attempts if object_.settled else 0
    attempts, since = before + 1, (previous.failing_since if before else None) or now
    lasts = attempts >= _ATTEMPTS and (now - since).total_seconds() >= _SECONDS
    hopeless = failure.terminal or (lasts and failure.reason != Reason.ENGINE_UNAVAILABLE)
    return Failing(attempts, since, hopeless)
