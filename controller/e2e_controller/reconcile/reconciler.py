"""The loop: takes a key, observes, plans, executes, tells the status."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from e2e_api.conditions import Reason
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerPhase, Driver, DriverError, EngineInfo, Key
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.objects import (
    ENVIRONMENT,
    FILE,
    Object,
    PastContainer,
    Phase,
    environment_key,
)
from e2e_controller.probes import Prober
from e2e_controller.reconcile.attempts import Attempts
from e2e_controller.reconcile.contexts import Contexts
from e2e_controller.reconcile.dependencies import Find
from e2e_controller.reconcile.desired import Desired, desired_container, removal_grace
from e2e_controller.reconcile.environments import EnvironmentReconciler
from e2e_controller.reconcile.evidence import past_container
from e2e_controller.reconcile.execute import Execution
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.observe import Observer
from e2e_controller.reconcile.outcome import Failure, Outcome
from e2e_controller.reconcile.plan import make_plan
from e2e_controller.reconcile.ports import AwaitedPorts
from e2e_controller.reconcile.publish import Publisher
from e2e_controller.reconcile.rests import Rests
from e2e_controller.reconcile.retries import Retries
from e2e_controller.reconcile.status import step_status, unfinished
from e2e_controller.reconcile.steps import Create, Observed, Plan, Step, Stop
from e2e_controller.reconcile.strays import Strays
from e2e_controller.store import Store
from e2e_controller.workqueue import QueueClosed, WorkQueue

log = logging.getLogger(__name__)


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
        self._events = events
        self._directories = directories
        self._info = info
        self._instruments = instruments
        self._now = now
        self._contexts = Contexts(driver)
        self._notebook = Notebook(driver)
        self._rests = Rests(directories.rests)
        self._attempts = Attempts(directories.attempts)
        self.strays = Strays(driver, events)
        """Lists of all containers are to be noted here."""
        self._observer = Observer(store, queue, driver, self._notebook, self._rests, self._attempts)
        self._publisher = Publisher(store, driver, prober, events, now)
        self._retries = Retries(queue, now)
        self._ports = AwaitedPorts(store, self._retries)
        self._environments = EnvironmentReconciler(
            store, queue, driver, events, directories, info, self.strays, now
        )

    async def aclose(self) -> None:
        """Ends what was begun; to be called when nobody works any more."""
        await self._publisher.aclose()

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
                self._publisher.bug(key, error)
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

    def sweep_notes(self) -> None:
        """At start, when it is known what is wanted: forgets what was noted of objects that are gone."""
        keys = [object_.key for object_ in self._store.select()]
        self._rests.sweep(keys)
        self._attempts.sweep(keys)

    def retry_now(self, key: Key) -> None:
        """Tries at once what failed: what was in the way is gone."""
        self._retries.release(key)

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
        try:
            await self.strays.remove(key)
        except DriverError as error:
            return await self._not_seen(object_, desired, Failure.of(error))
        wait = self._retries.held_back(object_, desired)
        if wait > 0:
            self._queue.add_after(key, wait)
            return None
        try:
            observed = await self._observer.observe(object_, desired)
        except DriverError as error:
            return await self._not_seen(object_, desired, Failure.of(error))
        return await self._make_true(object_, desired, observed)

    async def _make_true(
        self, object_: Object, desired: Desired | None, observed: Observed
    ) -> Failure | None:
        key, outcome = object_.key, Outcome()
        queued = self._queued(key)
        plan = make_plan(desired, observed, object_.status, self._now(), removal_grace(object_))
        try:
            self._note_first(object_, desired, observed, plan)
            if plan.steps:
                past = await self._past(object_, desired, observed, plan)
                outcome = replace(await self._execute(object_, desired, plan), past=past)
                self._ports.released(observed.container, plan.steps[: outcome.done])
                if outcome.failure is None and self._is_outdated(object_):
                    return None  # the key is queued again
                failed = outcome.failure is not None
                observed = await self._observer.look_again(key, desired, observed, failed=failed)
            else:
                outcome = Outcome(waiting=plan.waiting)
        except DriverError as error:
            outcome = replace(outcome, failure=outcome.failure or Failure.of(error))
        if plan.steps or (outcome.waiting_for and not object_.status.waiting_for):
            outcome = replace(outcome, phases=(queued, *outcome.phases))
        if outcome.failure is not None:
            failure = self._ports.judge(object_, desired, outcome.failure)
            outcome = replace(outcome, failure=failure, retry_at=self._plan_retry(key, failure))
            status = await self._publisher.status(object_, desired, observed, outcome)
            self._publisher.publish(object_, status, failure)
            return failure
        if desired is None:
            self._plan_retry(key, None)
            self._gone(object_)
            return None
        status = await self._publisher.status(object_, desired, observed, outcome)
        self._attempts.note_end(key, desired, observed.container, status)
        # No event need tell of a program that has ended already.
        left = make_plan(desired, observed, status, self._now()) if plan.steps else plan
        self._publisher.publish(object_, unfinished(status) if left.steps else status)
        self._plan_left(key, left)
        return None

    def _plan_left(self, key: Key, left: Plan) -> None:
        """Queues what is left to do after a plan."""
        if left.steps:
            self._queue.add_rate_limited(key)
            return
        self._plan_retry(key, None)
        if left.requeue_after is not None:
            self._queue.add_after(key, left.requeue_after)

    def _is_outdated(self, object_: Object) -> bool:
        """Whether something else is wanted by now."""
        current = self._store.get(object_.key)
        return (current.generation if current else 0) != object_.generation

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
        retry_at = self._plan_retry(object_.key, failure)
        current = self._store.get(object_.key)
        if object_.status.container is None or failure.terminal or current is None:
            outcome = Outcome(failure=failure, retry_at=retry_at)
            status = await self._publisher.status(object_, desired, Observed(), outcome)
            self._publisher.publish(object_, status, failure)
        else:
            self._publisher.not_seen(object_.key, current.status, failure, retry_at)
        return failure

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

        def outdated(step: Step) -> bool:
            if self._is_outdated(object_):
                return True
            # What it depends on may have ended while the image was pulled.
            first = isinstance(step, Create) and not step.spec.attempt
            return first and self._observer.waiting(object_) is not None

        directory = desired.directory if desired and self._info.local_files else None
        execution = Execution(
            self._driver,
            self._notebook,
            object_.key,
            directory,
            tell,
            self._now,
            outdated=outdated,
            again=self._queue.again(object_.key),
        )
        outcome = await execution.run(plan)
        if outcome.restarted:
            self._instruments.restarted()
        for step in plan.steps[: outcome.done]:
            self._events.record(object_.key, type(step).__name__, str(step))
        return outcome

    def _note_first(self, object_: Object, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        """Notes what has to be known after a crash, before anything is done."""
        self._note_rest(object_.key, desired, observed, plan)
        self._note_adoption(object_, desired, observed, plan)
        for step in plan.steps:
            if isinstance(step, Create) and step.spec.attempt:
                self._attempts.note(object_.key, step.spec_hash, step.spec.attempt)

    def _note_rest(self, key: Key, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        if desired is None or observed.container is None or desired.is_job:
            return
        if desired.state in ("Stopped", "Killed") or any(isinstance(step, Stop) for step in plan.steps):
            self._rests.note(key, observed.container)
        elif observed.rested and observed.container.phase is not ContainerPhase.EXITED:
            self._rests.forget(key)  # it was asked for, and not done; should it end now, it does so by itself

    def _gone(self, object_: Object) -> None:
        self._rests.forget(object_.key)
        self._attempts.forget(object_.key)
        self._publisher.gone(object_.key)
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
        environment = self._store.get(environment_key(object_.key.environment))
        if environment is None or environment.deleting:
            # With the last of its objects an environment may go, one that no manifest knows included.
            self._queue.add(environment_key(object_.key.environment))

    def _desired(self, object_: Object, environment: Object | None = None) -> Desired | None:
        environment = environment or self._store.get(environment_key(object_.key.environment))
        return desired_container(object_, environment, self._directories, mount_shared=self._info.local_files)
