"""The loop: takes a key, observes, plans, executes, tells the status."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from e2e_api.conditions import (
    Action,
    Condition,
    ConditionType,
    Reason,
    Status,
    action_for,
    set_condition,
)
from e2e_api.manifests import Environment
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import (
    ContainerPhase,
    Driver,
    DriverError,
    EngineInfo,
    Key,
    NameTaken,
)
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.objects import (
    ENVIRONMENT,
    FILE,
    Object,
    PastContainer,
    Phase,
    acceptance,
    environment_key,
)
from e2e_controller.probes import Prober
from e2e_controller.reconcile.desired import Desired, desired_workload
from e2e_controller.reconcile.evidence import last_log_lines, past_container
from e2e_controller.reconcile.execute import Execution, make_open_directory
from e2e_controller.reconcile.plan import Observed, Plan, Step, plan_workload, replacement_cause
from e2e_controller.reconcile.status import Failure, Outcome, step_status, workload_status
from e2e_controller.store import Store
from e2e_controller.workqueue import QueueClosed, WorkQueue

log = logging.getLogger(__name__)

TERMINAL_RETRY = 60.0
"""Seconds until a failure that needs a person is tried again, in case one has acted."""


class Reconciler:
    """Makes objects true, a key at a time, several keys at once."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        driver: Driver,
        prober: Prober,
        events: EventLog,
        directories: Directories,
        info: EngineInfo,
        instruments: Instruments,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queue = queue
        self._driver = driver
        self._prober = prober
        self._events = events
        self._directories = directories
        self._info = info
        self._instruments = instruments
        self._now = now

    async def work(self) -> None:
        """One worker: until the queue is closed."""
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            began, success = time.perf_counter(), False
            try:
                success = await self.reconcile(key) is None
            except Exception:  # a bug of ours must not end the worker; the key is tried again
                log.exception("reconcile of %s failed", key)
                self._instruments.retried(key.kind, "Internal")
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)
            self._instruments.reconciled(key.kind, time.perf_counter() - began, success)

    async def reconcile(self, key: Key) -> Failure | None:
        """Makes one key true, or plans to try again; returns why it could not."""
        if key.kind == FILE:
            return None
        if key.kind == ENVIRONMENT:
            failure = await self._reconcile_environment(key)
            self._plan_retry(key, failure)
            return failure
        return await self._reconcile_workload(key)

    async def plan(self, object_: Object, defaults: Environment | None = None) -> Plan:
        """What would be done about this object, as it is given here, until it is true. Changes nothing.

        `defaults` is the manifest that its environment would have, where that is another one than now.
        """
        desired = self._desired(object_, defaults)
        observed = await self._observe(object_.key, desired)
        # A new environment has no network yet; by the time of the reconcile that creates it has.
        observed = replace(observed, network_id=observed.network_id or "to be made")
        return plan_workload(desired, observed, object_.status, self._now())

    # Workloads

    async def _reconcile_workload(self, key: Key) -> Failure | None:
        object_ = self._store.get(key) or Object(key, deleting=True)
        desired = self._desired(object_)
        wait = self._held_back(object_, desired)
        if wait > 0:
            self._queue.add_after(key, wait)
            return None
        queued = self._queued(key)
        outcome, observed = Outcome(), Observed()
        plan = Plan()
        try:
            observed = await self._observe(key, desired)
            plan = plan_workload(desired, observed, object_.status, self._now())
            self._note_adoption(object_, desired, observed, plan)
            if plan.steps:
                past = await self._past(object_, desired, observed, plan)
                outcome = replace(await self._execute(object_, desired, plan), past=past)
                gone = desired is None and outcome.failure is None
                container = None if gone else await self._driver.inspect(key)
                observed = replace(observed, container=container)
            else:
                outcome = Outcome(waiting_for_network=plan.waiting_for_network)
        except DriverError as error:
            outcome = replace(outcome, failure=Failure(str(error.reason), str(error), error.retry))
        begins_to_wait = plan.waiting_for_network and not object_.status.waiting_for
        if plan.steps or begins_to_wait:
            outcome = replace(outcome, phases=(queued, *outcome.phases))
        retry_at = self._plan_retry(key, outcome.failure)
        if outcome.failure is None and plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)
        if desired is None and outcome.failure is None:
            self._gone(object_)
            return None
        await self._tell(object_, desired, observed, replace(outcome, retry_at=retry_at))
        return outcome.failure

    def _queued(self, key: Key) -> Phase:
        """The time from when the key was queued until now, when its work begins."""
        waited = self._queue.waited(key)
        return Phase("queue", self._now() - timedelta(seconds=waited), waited)

    def _note_adoption(
        self, object_: Object, desired: Desired | None, observed: Observed, plan: Plan
    ) -> None:
        """Tells of a container of before this controller's start that is as the manifest asks."""
        container = observed.container
        first = desired is not None and object_.status.observed_generation == 0
        if not first or container is None or plan.steps:
            return
        self._instruments.adopted()
        self._events.record(object_.key, "Adopt", f"{container.id[:12]} was there, and is as asked")

    async def _past(
        self, object_: Object, desired: Desired | None, observed: Observed, plan: Plan
    ) -> PastContainer | None:
        if desired is None:
            return None  # nothing will be left that could tell of it
        return await past_container(self._driver, observed.container, plan, object_.status)

    def _held_back(self, object_: Object, desired: Desired | None) -> float:
        """Seconds until what failed is tried again.

        A failed attempt makes engine events itself; without this they would start the next one at once.
        """
        status = object_.status
        if desired is None or status.retry_at is None or not object_.settled:
            return 0.0
        if status.spec_hash != desired.spec_hash:
            return 0.0
        return (status.retry_at - self._now()).total_seconds()

    def _plan_retry(self, key: Key, failure: Failure | None) -> datetime | None:
        """Queues a key that failed for later; returns when it may be tried again, None for any time."""
        if failure is None:
            self._queue.forget(key)
            return None
        self._instruments.retried(key.kind, failure.reason)
        if failure.terminal:
            self._queue.add_after(key, TERMINAL_RETRY)
            return self._now() + timedelta(seconds=TERMINAL_RETRY)
        delay = self._queue.add_rate_limited(key)
        if failure.reason == Reason.ENGINE_UNAVAILABLE:
            return None  # it may be back any moment, and then says so
        return self._now() + timedelta(seconds=delay)

    async def _execute(self, object_: Object, desired: Desired | None, plan: Plan) -> Outcome:
        log.info("%s: %s", object_.key, "; ".join(str(step) for step in plan.steps))

        def tell(step: Step, progress: str) -> None:
            current = self._store.get(object_.key)
            if current is not None:
                self._store.set_status(object_.key, step_status(current, step, progress, self._now()))

        directory = desired.directory if desired and self._info.local_files else None
        execution = Execution(self._driver, object_.key, directory, tell, self._now)
        outcome = await execution.run(plan)
        if outcome.restarted:
            self._instruments.restarted()
        for step in plan.steps[: outcome.done]:
            self._events.record(object_.key, type(step).__name__, str(step))
        return outcome

    async def _observe(self, key: Key, desired: Desired | None) -> Observed:
        environment = self._store.get(environment_key(key.environment))
        network = environment.status.network_id if environment else ""
        try:
            container = await self._driver.inspect(key)
        except NameTaken:
            if desired is None:
                return Observed()  # a foreign container is none of ours to remove
            raise
        observed = Observed(container, None, network)
        if desired is None or desired.build or desired.state in ("Stopped", "Killed"):
            return observed
        if container is None or replacement_cause(desired, observed):
            return replace(observed, image_present=await self._driver.image_present(desired.spec.image))
        return observed

    async def _tell(
        self, object_: Object, desired: Desired | None, observed: Observed, outcome: Outcome
    ) -> None:
        """Stores the status, and keeps the probe and the evidence up with it."""
        key, container = object_.key, observed.container
        # Also of what has just ended: its last answer is evidence.
        report = self._prober.report(key, container) if container is not None else None
        running = container is not None and container.phase is ContainerPhase.RUNNING
        if container is not None and running and desired is not None and desired.readiness is not None:
            self._prober.watch(key, container, desired.readiness, desired.ports)
            report = self._prober.report(key, container)
        else:
            self._prober.forget(key)
        if container is not None and container.phase is ContainerPhase.EXITED:
            lines = await last_log_lines(self._driver, container, object_.status)
            outcome = replace(outcome, log_lines=lines)
        status = workload_status(object_, desired, observed, outcome, report, self._now())
        current = self._store.get(key)
        if current is None or current.generation != object_.generation:
            return  # the key is queued again; what was found is about a manifest of the past
        self._store.set_status(key, status)
        failed = status.condition(ConditionType.FAILED)
        if failed is not None and not object_.status.is_true(ConditionType.FAILED):
            self._events.record(key, failed.reason, failed.message, warning=True)
        elif outcome.failure is not None:
            self._events.record(key, outcome.failure.reason, outcome.failure.message, warning=True)

    def _gone(self, object_: Object) -> None:
        self._prober.forget(object_.key)
        current = self._store.get(object_.key)
        if current is not None and not current.deleting:
            rejected = replace(current.status, observed_generation=current.generation, summary="Rejected")
            self._store.set_status(object_.key, rejected)
            return
        self._store.forget(object_.key, object_.generation)
        environment = self._store.get(environment_key(object_.key.environment))
        if environment is None or environment.deleting:
            # With the last of its objects an environment may go, one that no manifest knows included.
            self._queue.add(environment_key(object_.key.environment))

    def _desired(self, object_: Object, defaults: Environment | None = None) -> Desired | None:
        environment = self._store.get(environment_key(object_.key.environment))
        known = environment.manifest if environment else None
        if defaults is None and isinstance(known, Environment):
            defaults = known
        return desired_workload(object_, defaults, self._directories, mount_shared=self._info.local_files)

    # Environments

    async def _reconcile_environment(self, key: Key) -> Failure | None:
        object_ = self._store.get(key)
        try:
            if object_ is None or object_.deleting:
                await self._remove_environment(key, object_)
                return None
            if self._info.local_files:
                make_open_directory(self._directories.shared(key.environment))
            began = self._now()
            network = await self._driver.ensure_network(key.environment)
        except DriverError as error:
            failure = Failure(str(error.reason), str(error), error.retry)
            if object_ is not None:
                self._tell_environment(object_, "", failure)
            return failure
        if network != object_.status.network_id:
            phase = Phase("network", began, (self._now() - began).total_seconds())
            object_ = replace(object_, status=replace(object_.status, phases=(phase,)))
        self._tell_environment(object_, network, None)
        return None

    async def _remove_environment(self, key: Key, object_: Object | None) -> None:
        if any(other.environment == key.environment for other in await self._driver.list_containers()):
            # Its containers are queued with their own keys, and queue this one when they are gone.
            return
        if object_ is not None:
            # Should the environment come back meanwhile, nothing may start in the network that goes.
            self._store.set_status(key, replace(object_.status, network_id=""))
        await self._driver.remove_environment(key.environment)
        current = self._store.get(key)
        if current is not None and not current.deleting:
            self._queue.add(key)
            return
        directory = self._directories.shared(key.environment)
        if directory.exists():
            await self._driver.remove_tree(str(directory))
        if object_ is not None:
            self._store.forget(key, object_.generation)

    def _tell_environment(self, object_: Object, network: str, failure: Failure | None) -> None:
        current = self._store.get(object_.key)
        if current is None or current.generation != object_.generation:
            return
        previous = current.status
        ready = Condition(ConditionType.READY, Status.TRUE, Reason.NETWORK_READY)
        conditions = set_condition(
            tuple(c for c in previous.conditions if c.type != ConditionType.FAILED),
            acceptance(current),
            self._now(),
        )
        if failure is not None:
            ready = Condition(ConditionType.READY, Status.FALSE, failure.reason, failure.message)
            self._events.record(object_.key, failure.reason, failure.message, warning=True)
            if failure.terminal:
                failed = Condition(ConditionType.FAILED, Status.TRUE, failure.reason, failure.message)
                conditions = set_condition(conditions, failed, self._now())
        status = replace(
            previous,
            observed_generation=current.generation,
            conditions=set_condition(conditions, ready, self._now()),
            summary="Ready" if failure is None else "Failed" if failure.terminal else "NotReady",
            progress=failure.message if failure else "",
            network_id=network,
            phases=object_.status.phases,
            action=_environment_action(failure),
            directory=str(self._directories.shared(object_.key.environment)),
        )
        self._store.set_status(object_.key, status)
        if network != previous.network_id:
            for other in self._store.select(object_.key.environment):
                if other.key.kind not in (ENVIRONMENT, FILE):
                    self._queue.add(other.key)


def _environment_action(failure: Failure | None) -> Action | None:
    if failure is None or not failure.terminal:
        return None
    return action_for(failure.reason, may_pass=failure.retry)
