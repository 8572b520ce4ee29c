"""WaitService: until objects are as asked, or it is known that they never will be."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from enum import Enum
from typing import Any

from e2e_api.conditions import ConditionType, Reason, Status
from e2e_api.errors import InvalidArgument, WaitFailed, WaitTimeout
from e2e_api.manifests import Workload
from e2e_api.v1 import wait_service_pb2 as pb
from e2e_api.v1 import wait_service_pb2_grpc
from e2e_controller.drivers.base import ContainerPhase, Key
from e2e_controller.objects import ENVIRONMENT, JOB, Object
from e2e_controller.server.access import Access, time_limit
from e2e_controller.server.convert import key_from_proto, key_to_proto
from e2e_controller.server.errors import not_found
from e2e_controller.server.evidence import wait_failure

MAX_KEYS = 5_000
PARSE_GRACE = 0.05
"""Seconds for which a file that does not parse may be one that is still being written.

The source tells of no file that somebody has open, and on mounts that cannot say so of none that has just
changed. What is left is a writer that opens the file anew for each part, as a shell does with `>>`.
"""
_GOALS = {
    pb.WAIT_GOAL_READY: "ready",
    pb.WAIT_GOAL_RUNNING: "running",
    pb.WAIT_GOAL_STOPPED: "stopped",
    pb.WAIT_GOAL_DELETED: "deleted",
    pb.WAIT_GOAL_RECONCILED: "as its manifest asks",
    pb.WAIT_GOAL_EXITED: "exited",
    pb.WAIT_GOAL_NOT_READY: "not ready",
    pb.WAIT_GOAL_PAUSED: "paused",
    pb.WAIT_GOAL_COMPLETED: "completed",
}


class Verdict(Enum):
    """Where a wait for one object stands."""

    MET = "met"
    PENDING = "pending"
    IMPOSSIBLE = "impossible"


def judge(object_: Object | None, goal: "pb.WaitGoal.ValueType") -> Verdict:
    """Whether the object is as asked, may become so, or never will. Pure."""
    if goal == pb.WAIT_GOAL_DELETED:
        return Verdict.MET if object_ is None else Verdict.PENDING
    if object_ is None or object_.deleting:
        return Verdict.IMPOSSIBLE
    if object_.rejection is not None:
        maybe_unfinished = object_.rejection.reason in (Reason.PARSE_ERROR, Reason.READ_ERROR)
        return Verdict.PENDING if maybe_unfinished else Verdict.IMPOSSIBLE
    if not object_.settled:
        return Verdict.PENDING
    if object_.key.kind == ENVIRONMENT:
        return _judge_environment(object_, goal)
    if object_.key.kind == JOB:
        return _judge_job(object_, goal)
    if goal == pb.WAIT_GOAL_COMPLETED:
        return Verdict.IMPOSSIBLE
    return _judge_workload(object_, goal)


def _judge_environment(object_: Object, goal: "pb.WaitGoal.ValueType") -> Verdict:
    if object_.status.is_true(ConditionType.FAILED):
        return Verdict.IMPOSSIBLE
    met = object_.status.is_true(ConditionType.READY) != (goal == pb.WAIT_GOAL_NOT_READY)
    return Verdict.MET if met else Verdict.PENDING


def _judge_job(object_: Object, goal: "pb.WaitGoal.ValueType") -> Verdict:
    status, container = object_.status, object_.status.container
    failed, completed = status.is_true(ConditionType.FAILED), status.is_true(ConditionType.COMPLETED)
    ended = container is not None and container.phase in (ContainerPhase.EXITED, ContainerPhase.DEAD)
    if goal in (pb.WAIT_GOAL_READY, pb.WAIT_GOAL_RECONCILED, pb.WAIT_GOAL_COMPLETED):
        met, never = completed, failed
    elif goal == pb.WAIT_GOAL_RUNNING:
        met, never = status.is_true(ConditionType.RUNNING), failed or completed
    elif goal == pb.WAIT_GOAL_EXITED:
        met, never = completed or (failed and ended), failed
    else:
        return Verdict.IMPOSSIBLE  # nothing stops or freezes a job
    return Verdict.MET if met else Verdict.IMPOSSIBLE if never else Verdict.PENDING


def _judge_workload(object_: Object, goal: "pb.WaitGoal.ValueType") -> Verdict:
    status, container, wanted = object_.status, object_.status.container, object_.state
    phase = container.phase if container else None
    running = status.condition(ConditionType.RUNNING)
    at_rest = running is not None and running.reason in (Reason.STOPPED, Reason.KILLED)
    if goal == pb.WAIT_GOAL_RECONCILED:
        by_state = {"Running": pb.WAIT_GOAL_READY, "Paused": pb.WAIT_GOAL_PAUSED}
        goal = by_state.get(wanted, pb.WAIT_GOAL_STOPPED)
    exited = phase in (ContainerPhase.EXITED, ContainerPhase.DEAD)
    met = {
        pb.WAIT_GOAL_READY: status.is_true(ConditionType.READY),
        pb.WAIT_GOAL_RUNNING: phase is ContainerPhase.RUNNING and _is_of_its_spec(object_),
        pb.WAIT_GOAL_STOPPED: at_rest,
        pb.WAIT_GOAL_EXITED: exited,
        pb.WAIT_GOAL_PAUSED: phase is ContainerPhase.PAUSED and _is_of_its_spec(object_),
        pb.WAIT_GOAL_NOT_READY: _is_false(object_, ConditionType.READY),
    }[goal]
    if met:
        return Verdict.MET
    needs = {pb.WAIT_GOAL_READY: "Running", pb.WAIT_GOAL_RUNNING: "Running", pb.WAIT_GOAL_PAUSED: "Paused"}
    # What the manifest does not ask for will not come by waiting.
    unasked = wanted != needs.get(goal, wanted) or (goal == pb.WAIT_GOAL_STOPPED and wanted == "Running")
    hopeless = status.is_true(ConditionType.FAILED) and goal != pb.WAIT_GOAL_NOT_READY
    if goal == pb.WAIT_GOAL_EXITED and phase in (ContainerPhase.RUNNING, ContainerPhase.PAUSED):
        hopeless = False  # it failed its probe, and may still exit
    return Verdict.IMPOSSIBLE if unasked or hopeless else Verdict.PENDING


def _is_of_its_spec(object_: Object) -> bool:
    """Whether its container is the one that its manifest asks for, and not one of a spec before."""
    container = object_.status.container
    return container is not None and container.spec_hash == object_.status.spec_hash


def _is_false(object_: Object, type_: ConditionType) -> bool:
    condition = object_.status.condition(type_)
    return condition is not None and condition.status is Status.FALSE


class WaitServicer(wait_service_pb2_grpc.WaitServiceServicer):
    """See `wait_service.proto`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._store = access.store

    async def WaitConditions(
        self, request: pb.WaitConditionsRequest, context: Any
    ) -> AsyncIterator[pb.WaitConditionsResponse]:
        limit = time_limit(context)
        standpoint = await self._access.standpoint(context)
        keys = self._keys(request)
        await self._access.sync_folders()
        missing = [key for key in keys if self._store.get(key) is None]
        if missing and request.goal != pb.WAIT_GOAL_DELETED:
            raise not_found(", ".join(str(key) for key in missing))
        wait = _Wait(self._access, keys, request.goal, limit)
        with self._store.subscribe(wait.pending.__contains__) as subscription:
            changed: list[Key] = list(keys)
            while True:
                for key in changed:
                    if key in wait.pending:
                        met, object_ = wait.look(key)
                        message = await standpoint.told(object_) if object_ else None
                        response = pb.WaitConditionsResponse(object=message, met=met)
                        response.object.key.CopyFrom(key_to_proto(key))  # also where nothing is left of it
                        yield response
                wait.raise_if_impossible()
                if not wait.pending:
                    return
                changed = await wait.next_changes(subscription.changed())

    def _keys(self, request: pb.WaitConditionsRequest) -> dict[Key, None]:
        if request.goal not in _GOALS:
            raise InvalidArgument("goal: expected one of WaitGoal", violations=[("goal", "is required")])
        if not request.keys or len(request.keys) > MAX_KEYS:
            raise InvalidArgument(f"keys: expected 1 to {MAX_KEYS}, not {len(request.keys)}")
        return dict.fromkeys(key_from_proto(key) for key in request.keys)


class _Wait:
    """One wait's state."""

    def __init__(
        self, access: Access, keys: dict[Key, None], goal: "pb.WaitGoal.ValueType", limit: float
    ) -> None:
        self._store = access.store
        self._goal = goal
        self._limit = limit
        self._unreadable_since: dict[Key, float] = {}
        self.pending = dict(keys)
        self._impossible: dict[Key, Object | None] = {}

    def look(self, key: Key) -> tuple[bool, Object | None]:
        """Judges one object: whether it meets the goal, and what it is now."""
        object_ = self._store.get(key)
        verdict = judge(object_, self._goal)
        unreadable = object_ is not None and object_.rejection is not None
        now = asyncio.get_running_loop().time()
        if verdict is Verdict.PENDING and unreadable:
            since = self._unreadable_since.setdefault(key, now)
            if now >= since + PARSE_GRACE:
                verdict = Verdict.IMPOSSIBLE
        else:
            self._unreadable_since.pop(key, None)
        if verdict is Verdict.MET:
            del self.pending[key]
        if verdict is Verdict.IMPOSSIBLE:
            self._impossible[key] = object_
        return verdict is Verdict.MET, object_

    async def next_changes(self, changes: Any) -> list[Key]:
        """Keys to look at again. Raises `WaitTimeout`."""
        limit = self._limit
        if self._unreadable_since:
            limit = min(limit, min(self._unreadable_since.values()) + PARSE_GRACE)
        try:
            async with asyncio.timeout_at(limit):
                found: list[Key] = await changes
                return found
        except TimeoutError:
            if limit < self._limit:
                return list(self._unreadable_since)
        objects = {key: self._store.get(key) for key in self.pending}
        raise WaitTimeout(
            self._text("not in time", objects), reason="Timeout", details=[wait_failure(objects)]
        )

    def raise_if_impossible(self) -> None:
        """Raises `WaitFailed` for what can no longer be."""
        if self._impossible:
            objects = self._impossible | self._causes()
            details = [wait_failure(objects)]
            raise WaitFailed(self._text("never will be", objects), reason=_reason(objects), details=details)

    def _causes(self) -> dict[Key, Object | None]:
        """What made dependencies of those fail that are waited for: that is where the evidence is."""
        causes: dict[Key, Object | None] = {}
        waiting = [object_ for object_ in self._impossible.values() if object_ is not None]
        while waiting:
            object_ = waiting.pop()
            failed = object_.status.condition(ConditionType.FAILED)
            if failed is None or failed.reason != Reason.DEPENDENCY_FAILED:
                continue
            for name in object_.depends_on:
                found = self._store.find_container(object_.key.environment, name)
                if found is None or found.key in causes or found.status.action is None:
                    continue
                causes[found.key] = found
                waiting.append(found)
        return causes

    def _text(self, how: str, objects: dict[Key, Object | None]) -> str:
        lines = [f"waited for {_GOALS[self._goal]}; {how}:"]
        for key, object_ in list(objects.items())[:20]:
            in_it = self._store.select(key.environment) if key.kind == ENVIRONMENT else []
            lines.append(f"  {key}: {_why(object_, self._goal, in_it)}")
        return "\n".join(lines)


def _reason(objects: dict[Key, Object | None]) -> str:
    object_ = next(iter(objects.values()))
    if object_ is None or object_.deleting:
        return "Deleted"
    if object_.rejection is not None:
        return str(object_.rejection.reason)
    failed = object_.status.condition(ConditionType.FAILED)
    return failed.reason if failed else "NotAsked"


def _why(object_: Object | None, goal: "pb.WaitGoal.ValueType", in_it: Iterable[Object]) -> str:
    if object_ is None or (object_.deleting and goal != pb.WAIT_GOAL_DELETED):
        return "it was deleted"
    if goal == pb.WAIT_GOAL_DELETED:
        return _why_still_there(object_, [other for other in in_it if other is not object_])
    if object_.rejection is not None and object_.rejection.reason is Reason.POLICY_DENIED:
        return f"its manifest is denied: {object_.rejection.message[:500]}"
    if object_.rejection is not None:
        return f"its manifest was rejected: {object_.rejection.message[:500]}"
    failed = object_.status.condition(ConditionType.FAILED)
    if failed is not None:
        return f"{failed.reason}: {failed.message[:500]}"
    state = object_.manifest.spec.state if isinstance(object_.manifest, Workload) else ""
    asked = f" (its manifest asks for state {state})" if state else ""
    progress = f": {object_.status.progress[:500]}" if object_.status.progress else ""
    return f"{object_.status.summary}{asked}{progress}"


def _why_still_there(object_: Object, in_it: Sequence[Object]) -> str:
    """What keeps it from being gone; of an environment, what is `in_it`."""
    status = object_.status
    if in_it:
        told = [f"{o.key.kind} {o.key.name} ({o.status.summary}: {o.status.progress[:200]})" for o in in_it]
        return f"it still has {', '.join(told[:3])}" + (f" and {len(told) - 3} more" if told[3:] else "")
    if object_.key.kind == ENVIRONMENT and not object_.deleting:
        return f"a client holds it, or a file defines it; it is {status.summary}"
    if not object_.deleting:
        return f"nobody has deleted it; it is {status.summary}"
    told = [f"{c.reason}: {c.message}" for c in status.conditions if c.type == ConditionType.FAILED]
    if status.progress and not any(status.progress in text for text in told):
        told.append(status.progress)
    return f"it is being deleted ({status.summary}): {'; '.join(told)[:500] or 'nothing is known of why yet'}"
