"""Where the time of a start went: steps, and what was waited for in between. Pure."""

from datetime import datetime

from e2e_api.conditions import Condition, ConditionType, Reason, Status
from e2e_controller.drivers.base import Container
from e2e_controller.objects import ObjectStatus, Phase

MOST_PHASES = 20


def start_phases(
    previous: ObjectStatus,
    new: tuple[Phase, ...],
    *,
    restarted: bool,
    waiting_for: str,
    goal: Condition,
    container: Container | None,
    now: datetime,
) -> tuple[Phase, ...]:
    """The phases of the start that goes on, or was the last. `new` are those of this reconcile.

    `goal` is what it starts for: to be ready, or of a job to be completed.
    """
    known = () if _begins_anew(previous, new, restarted=restarted) else previous.phases
    waited = _waited(previous, new, waiting_for, now)
    phases = (*known, *waited, *new)
    if last := _last(phases, goal, container, now):
        phases = (*phases, last)
    return tuple(sorted(phases, key=lambda phase: phase.started_at))[-MOST_PHASES:]


def waiting_since(previous: ObjectStatus, waiting_for: str, now: datetime) -> datetime | None:
    """Since when it has been waiting for that; None where it waits for nothing."""
    if not waiting_for:
        return None
    return previous.waiting_since if previous.waiting_for == waiting_for else now


def _begins_anew(previous: ObjectStatus, new: tuple[Phase, ...], *, restarted: bool) -> bool:
    """What came before a `start` belongs to an earlier start; image and network may be got before."""
    names = {phase.name for phase in new}
    over = any(phase.name == "start" for phase in previous.phases)
    return restarted or "remove" in names or (over and "create" in names)


def _waited(
    previous: ObjectStatus, new: tuple[Phase, ...], waiting_for: str, now: datetime
) -> tuple[Phase, ...]:
    """The wait that has ended now, if one has."""
    since = previous.waiting_since
    if since is None or previous.waiting_for == waiting_for:
        return ()
    ended = min((phase.started_at for phase in new), default=now)
    return (Phase(previous.waiting_for, since, max(0.0, (ended - since).total_seconds())),)


def _last(
    phases: tuple[Phase, ...], goal: Condition, container: Container | None, now: datetime
) -> Phase | None:
    """The time from the start to the first good answer, or of a job to its good end, once that came."""
    if goal.status is not Status.TRUE or goal.reason == Reason.NO_PROBE:
        return None
    name = "run" if goal.type is ConditionType.COMPLETED else "probe"
    if container is None or container.started_at is None or any(phase.name == name for phase in phases):
        return None
    ends = [phase.ends_at for phase in phases if phase.name == "start"]
    if name == "probe" and not ends:
        return None  # it was adopted: when it became ready, nobody saw
    began = max([container.started_at, *ends])
    ended = (container.finished_at if name == "run" else None) or now
    return Phase(name, began, max(0.0, (ended - began).total_seconds()))
