"""What an object depends on: whether it is so far, never will be, or waits for itself. Pure."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from e2e_api.conditions import ConditionType, Reason
from e2e_controller.objects import ENVIRONMENT, FILE, JOB, Object
from e2e_controller.reconcile.desired import container_fields
from e2e_controller.reconcile.steps import NO_NETWORK, Waiting

N = TypeVar("N", bound=Hashable)
Find = Callable[[str], Object | None]
"""The workload or job of that name, in the environment that is looked at."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else a plan depends on, as far as it is something else than what is there now."""

    environment: Object | None = None
    """The one that would have the object's defaults."""
    find: Find | None = None
    """Gives what the object would depend on."""
    neighbours: Callable[[], Iterable[Object]] | None = None
    """The objects that would be in its environment."""


NOW = Surroundings()


def waiting_for(object_: Object, find: Find) -> Waiting | None:
    """Why its container cannot be created yet; None where nothing that it depends on is in the way."""
    spec = container_fields(object_)
    if spec is None or not spec.depends_on:
        return None
    cycle = find_cycle(object_.key.name, lambda name: found.depends_on if (found := find(name)) else ())
    if cycle:
        message = f"it waits for itself: {' -> '.join(cycle)}; take one dependsOn away"
        return Waiting(Reason.DEPENDENCY_CYCLE, message, hopeless=True)
    judged = [_judge(find(item.name), item.name, item.condition) for item in spec.depends_on]
    hopeless = [found.message for found in judged if found and found.hopeless]
    if hopeless:
        return Waiting(Reason.DEPENDENCY_FAILED, "; ".join(hopeless), hopeless=True)
    pending = [found.message for found in judged if found]
    if pending:
        return Waiting(Reason.WAITING_FOR_DEPENDENCIES, f"waits for {', '.join(pending)}")
    return None


def network_waiting(environment: Object | None) -> Waiting:
    """How it stands with the environment's network, which is not there."""
    if environment is None:
        return NO_NETWORK
    failed = environment.status.condition(ConditionType.FAILED)
    if environment.settled and failed is not None and environment.status.is_true(ConditionType.FAILED):
        return Waiting(failed.reason, f"the environment failed: {failed.message}", hopeless=True)
    ready = environment.status.condition(ConditionType.READY)
    why = f": {ready.message}" if ready is not None and ready.message else ""
    return replace(NO_NETWORK, message=f"{NO_NETWORK.message}{why}")


def find_cycle(start: N, edges: Callable[[N], Iterable[N]]) -> list[N]:
    """A way from `start` back to it, both ends included; empty where there is none."""
    came_from: dict[N, N] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for other in edges(name):
            if other == start:
                way = [name]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return [*reversed(way), start]
            if other not in came_from:
                came_from[other] = name
                waiting.append(other)
    return []


def _judge(found: Object | None, name: str, condition: str | None) -> Waiting | None:
    def pending(text: str) -> Waiting:
        return Waiting(Reason.WAITING_FOR_DEPENDENCIES, text)

    def hopeless(text: str) -> Waiting:
        return Waiting(Reason.DEPENDENCY_FAILED, text, hopeless=True)

    if found is None or found.deleting or found.key.kind in (ENVIRONMENT, FILE):
        return pending(f"{name}, which is not there yet")
    is_job = found.key.kind == JOB
    wanted = condition or ("Completed" if is_job else "Ready")
    if wanted == "Ready" and is_job:
        return hopeless(f"job {name} is never Ready: depend on its condition Completed")
    if wanted == "Completed" and not is_job:
        return hopeless(f"workload {name} never is Completed: make it a Job, or depend on Ready")
    status = found.status
    if found.manifest is None and found.rejection is not None:
        return hopeless(f"{name} was rejected: {found.rejection.message}")
    if not found.settled:
        return pending(f"{name} to be {wanted}")
    if wanted == "Started" and status.container is not None and status.container.started_at is not None:
        return None
    if wanted != "Started" and status.is_true(ConditionType(wanted)):
        return None
    failed = status.condition(ConditionType.FAILED)
    if failed is not None and status.is_true(ConditionType.FAILED):
        return hopeless(f"{name} failed: {failed.reason}: {failed.message}")
    if wanted == "Ready" and found.state != "Running":
        return hopeless(f"the manifest of {name} asks for state {found.state}")
    return pending(f"{name} to be {wanted} ({status.summary})")
