"""The loop: takes a key, observes, plans, executes, tells the status."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from e2e_api.conditions import Condition, ConditionType, Reason, Status, set_condition
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import (
    ContainerPhase,
    Driver,
    DriverError,
    EngineInfo,
    Key,
)
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.objects import ENVIRONMENT, FILE, Object, PastContainer, Phase, environment_key
from e2e_controller.probes import Prober
from e2e_controller.reconcile.contexts import Contexts
from e2e_controller.reconcile.dependencies import Find
from e2e_controller.reconcile.desired import Desired, desired_container, removal_grace
from e2e_controller.reconcile.environments import EnvironmentReconciler
from e2e_controller.reconcile.evidence import last_log_lines, past_container
from e2e_controller.reconcile.execute import Execution
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.observe import Observer
from e2e_controller.reconcile.outcome import Failure, Outcome
from e2e_controller.reconcile.plan import make_plan
from e2e_controller.reconcile.rests import Rests
from e2e_controller.reconcile.retries import Retries
from e2e_controller.reconcile.status import step_status, workload_status
from e2e_controller.reconcile.steps import Observed, Plan, Step, Stop
from e2e_controller.store import Store
from e2e_controller.workqueue import QueueClosed, WorkQueue

log = logging.getLogger(__name__)

MAX_MESSAGE = 4_000


def _failure(error: DriverError) -> Failure:
    return Failure(str(error.reason), str(error)[:MAX_MESSAGE], error.retry)


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
        self._contexts = Contexts(driver)
        self._notebook = Notebook(driver)
        self._rests = Rests(directories.rests)
        self._observer = Observer(store, queue, driver, self._notebook, self._rests)
        self._retries = Retries(queue, now)
        self._environments = EnvironmentReconciler(store, queue, driver, events, directories, info, now)

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
            except Exception as error:  # a bug of ours must not end the worker; the key is tried again
                log.exception("reconcile of %s failed", key, extra={"key": str(key)})
                self._tell_bug(key, error)
                self._instruments.retried(key.kind, Reason.INTERNAL_ERROR)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)
            self._instruments.reconciled(key.kind, time.perf_counter() - began, success)

    async def reconcile(self, key: Key) -> Failure | None:
        """Makes one key true, or plans to try again; returns why it could not."""
        if key.kind == FILE:
            return None
        if key.kind == ENVIRONMENT:
            failure = await self._environments.reconcile(key)
            self._plan_retry(key, failure)
            return failure
        return await self._reconcile_container(key)

    async def plan(
        self, object_: Object, environment: Object | None = None, find: Find | None = None
    ) -> Plan:
        """What would be done about this object, as it is given here, until it is true. Changes nothing.

        `environment` is the one that would have its defaults, where those are others than now; `find` gives
        what it would depend on.
        """
        object_ = await self._contexts.fresh(object_)
        desired = self._desired(object_, environment)
        observed = await self._observer.observe(object_, desired, find)
        # A new environment has no network yet; by the time of the reconcile that creates it has.
        observed = replace(observed, network_id=observed.network_id or "to be made")
        return make_plan(desired, observed, object_.status, self._now(), removal_grace(object_))

    def try_again(self, key: Key) -> None:
        """What failed is tried at once, as if it were new: what was in the way may be gone."""
        self._retries.release(key)
        self._queue.forget(key)
        self._store.renew(key)

    async def context_changed(self, object_: Object) -> bool:
        """Whether what its image was built of is not what it would be built of now."""
        return await self._contexts.changed(object_)

    async def _reconcile_container(self, key: Key) -> Failure | None:
        object_ = await self._contexts.complete(self._store.get(key) or Object(key, deleting=True))
        desired = self._desired(object_)
        wait = self._retries.held_back(object_, desired)
        if wait > 0:
            self._queue.add_after(key, wait)
            return None
        try:
            observed = await self._observer.observe(object_, desired)
        except DriverError as error:
            return await self._not_seen(object_, desired, _failure(error))
        return await self._make_true(object_, desired, observed)

    async def _make_true(
        self, object_: Object, desired: Desired | None, observed: Observed
    ) -> Failure | None:
        key, outcome = object_.key, Outcome()
        queued = self._queued(key)
        plan = make_plan(desired, observed, object_.status, self._now(), removal_grace(object_))
        try:
            self._note_rest(key, desired, observed, plan)
            self._note_adoption(object_, desired, observed, plan)
            if plan.steps:
                past = await self._past(object_, desired, observed, plan)
                outcome = replace(await self._execute(object_, desired, plan), past=past)
                gone = desired is None and outcome.failure is None
                container = None if gone else await self._driver.inspect(key)
                observed = replace(observed, container=container)
            else:
                outcome = Outcome(waiting=plan.waiting)
        except DriverError as error:
            outcome = replace(outcome, failure=_failure(error))
        if plan.steps or (outcome.waiting_for and not object_.status.waiting_for):
            outcome = replace(outcome, phases=(queued, *outcome.phases))
        if outcome.failure is not None:
            retry_at = self._plan_retry(key, outcome.failure)
            await self._tell(object_, desired, observed, replace(outcome, retry_at=retry_at))
            return outcome.failure
        if desired is None:
            self._plan_retry(key, None)
            self._gone(object_)
            return None
        await self._tell(object_, desired, observed, outcome)
        await self._plan_rest(object_, desired, observed, plan)
        return None

    async def _plan_rest(self, object_: Object, desired: Desired, observed: Observed, plan: Plan) -> None:
        """Queues what is left to do after a plan: no event need tell of a program that has ended already."""
        key, container = object_.key, observed.container
        if plan.steps:
            current = self._store.get(key) or object_
            rested = container is not None and self._rests.noted(key, container)
            notes = await self._notebook.read(container.id) if container and desired.live_files else None
            observed = replace(observed, rested=rested, notes=notes)
            plan = make_plan(desired, observed, current.status, self._now())
        if plan.steps:
            self._queue.add_rate_limited(key)
            return
        self._plan_retry(key, None)
        if plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)

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

    async def _not_seen(self, object_: Object, desired: Desired | None, failure: Failure) -> Failure:
        """A look that failed says nothing of the container: what is known of it stays."""
        retry_at = self._plan_retry(object_.key, failure)
        current = self._store.get(object_.key)
        if object_.status.container is None or failure.terminal or current is None:
            await self._tell(object_, desired, Observed(), Outcome(failure=failure, retry_at=retry_at))
        else:
            told = replace(current.status, progress=failure.message, retry_at=retry_at)
            self._store.set_status(object_.key, told)
            self._events.record(object_.key, failure.reason, failure.message, warning=True)
        return failure

    def _tell_bug(self, key: Key, error: Exception) -> None:
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

    def _plan_retry(self, key: Key, failure: Failure | None) -> datetime | None:
        """Queues a key that failed for later; returns when it may be tried again, None for any time."""
        if failure is not None:
            self._instruments.retried(key.kind, failure.reason)
        return self._retries.plan(key, failure)

    async def _execute(self, object_: Object, desired: Desired | None, plan: Plan) -> Outcome:
        steps = [str(step) for step in plan.steps]
        log.info("%s: %s", object_.key, "; ".join(steps), extra={"key": str(object_.key), "plan": steps})

        def tell(step: Step, progress: str) -> None:
            current = self._store.get(object_.key)
            if current is not None:
                self._store.set_status(object_.key, step_status(current, step, progress, self._now()))

        directory = desired.directory if desired and self._info.local_files else None
        execution = Execution(self._driver, self._notebook, object_.key, directory, tell, self._now)
        outcome = await execution.run(plan)
        if outcome.restarted:
            self._instruments.restarted()
        for step in plan.steps[: outcome.done]:
            self._events.record(object_.key, type(step).__name__, str(step))
        return outcome

    def _note_rest(self, key: Key, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        """Before anything is done, since a crash may come in between."""
        if desired is None or observed.container is None or desired.is_job:
            return
        if desired.state in ("Stopped", "Killed") or any(isinstance(step, Stop) for step in plan.steps):
            self._rests.note(key, observed.container)
        elif observed.rested and observed.container.phase is not ContainerPhase.EXITED:
            self._rests.forget(key)  # it was asked for, and not done; should it end now, it does so by itself

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
        self._rests.forget(object_.key)
        self._prober.forget(object_.key)
        current = self._store.get(object_.key)
        if current is not None and not current.deleting:
            if current.generation != object_.generation:
                return  # it came back meanwhile, and its key is queued again
            rejected = replace(current.status, observed_generation=current.generation, summary="Rejected")
            self._store.set_status(object_.key, rejected)
            return
        self._store.forget(object_.key, object_.generation)
        rival = self._store.find_container(object_.key.environment, object_.key.name)
        if rival is not None:
            self._retries.release(rival.key)
            self._queue.add(rival.key)
        environment = self._store.get(environment_key(object_.key.environment))
        if environment is None or environment.deleting:
            # With the last of its objects an environment may go, one that no manifest knows included.
            self._queue.add(environment_key(object_.key.environment))

    def _desired(self, object_: Object, environment: Object | None = None) -> Desired | None:
        environment = environment or self._store.get(environment_key(object_.key.environment))
        return desired_container(object_, environment, self._directories, mount_shared=self._info.local_files)
