"""Tells the store what became of an object, and keeps the probe and the evidence up with it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from e2e_api.conditions import Condition, ConditionType, Reason, Status, set_condition
from e2e_controller.drivers.base import Container, ContainerPhase, Driver, Key
from e2e_controller.events import EventLog
from e2e_controller.objects import Object, ObjectStatus
from e2e_controller.probes import Prober
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.evidence import last_log_lines
from e2e_controller.reconcile.outcome import MAX_MESSAGE, Failure, Outcome
from e2e_controller.reconcile.status import workload_status
from e2e_controller.reconcile.steps import Observed
from e2e_controller.reconcile.tails import LogTails
from e2e_controller.store import Store


class Publisher:
    """Makes statuses, and stores those that are about what is wanted now."""

    def __init__(
        self, store: Store, driver: Driver, prober: Prober, events: EventLog, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._driver = driver
        self._prober = prober
        self._events = events
        self._now = now
        self._tails = LogTails(driver)

    async def aclose(self) -> None:
        """Ends what follows logs."""
        await self._tails.aclose()

    def gone(self, key: Key) -> None:
        """Nothing is left that could be told of."""
        self._prober.forget(key)
        self._tails.forget(key)

    async def status(
        self, object_: Object, desired: Desired | None, observed: Observed, outcome: Outcome
    ) -> ObjectStatus:
        """What is to be told of the object."""
        key, container = object_.key, observed.container
        # Also of what has just ended: its last answer is evidence.
        report = self._prober.report(key, container) if container is not None else None
        running = container is not None and container.phase is ContainerPhase.RUNNING
        if container is not None and running and desired is not None and desired.readiness is not None:
            self._prober.watch(key, container, desired.readiness, desired.ports)
            report = self._prober.report(key, container)
        else:
            self._prober.forget(key)
        # Of what runs, and was not ready in time, the log is the evidence too.
        late = running and report is not None and report.timed_out
        if container is not None and (late or container.phase is ContainerPhase.EXITED):
            outcome = replace(outcome, log_lines=await self._last_log_lines(object_, container))
        status = workload_status(object_, desired, observed, outcome, report, self._now())
        if container is not None and running and not status.is_true(ConditionType.READY):
            self._tails.follow(container)
        else:
            self._tails.forget(key)
        return status

    async def _last_log_lines(self, object_: Object, container: Container) -> tuple[str, ...]:
        ended = container.phase is ContainerPhase.EXITED
        lines = await self._tails.lines(container) if ended else None
        return await last_log_lines(self._driver, container, object_.status) if lines is None else lines

    def publish(self, object_: Object, status: ObjectStatus, failure: Failure | None = None) -> None:
        """Stores the status, unless it is about a manifest of the past: then the key is queued again."""
        key, current = object_.key, self._store.get(object_.key)
        if current is None or current.generation != object_.generation:
            return
        self._store.set_status(key, status)
        failed = status.condition(ConditionType.FAILED)
        if failed is not None and not object_.status.is_true(ConditionType.FAILED):
            self._events.record(key, failed.reason, failed.message, warning=True)
        elif failure is not None:
            self._events.record(key, failure.reason, failure.message, warning=True)

    def not_seen(self, key: Key, status: ObjectStatus, failure: Failure, retry_at: datetime | None) -> None:
        """A look that failed says nothing of the container: what is known of it stays."""
        self._store.set_status(key, replace(status, progress=failure.message, retry_at=retry_at))
        self._events.record(key, failure.reason, failure.message, warning=True)

    def bug(self, key: Key, error: Exception) -> None:
        """Whoever waits must learn of it, too."""
        object_ = self._store.get(key)
        if object_ is None:
            return
        message = f"{type(error).__name__}: {error}; this is a bug of e2e, see the controller's log"
        failed = Condition(ConditionType.FAILED, Status.TRUE, Reason.INTERNAL_ERROR, message[:MAX_MESSAGE])
        status = replace(
            object_.status,
            observed_generation=object_.generation,
            conditions=set_condition(object_.status.conditions, failed, self._now()),
            summary="Failed",
            progress=message[:MAX_MESSAGE],
        )
        self._store.set_status(key, status)
        self._events.record(key, Reason.INTERNAL_ERROR, message[:MAX_MESSAGE], warning=True)
