"""Workloads and jobs: observe, plan, execute, tell the status."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, DriverError, Key
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.objects import Object, PastContainer, Phase, environment_key
from e2e_controller.probes import Prober
from e2e_controller.reconcile.contexts import Contexts
from e2e_controller.reconcile.dependencies import NOW, Surroundings
from e2e_controller.reconcile.desired import Desired, desired_container, removal_grace
from e2e_controller.reconcile.evidence import past_container
from e2e_controller.reconcile.execute import Execution
from e2e_controller.reconcile.memory import Memory
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.observe import Observer
from e2e_controller.reconcile.outcome import Failure, Outcome
from e2e_controller.reconcile.plan import make_plan
from e2e_controller.reconcile.ports import AwaitedPorts
from e2e_controller.reconcile.publish import Publisher
from e2e_controller.reconcile.retries import Retries
from e2e_controller.reconcile.secrets import Secrets
from e2e_controller.reconcile.status import step_status, unfinished
from e2e_controller.reconcile.steps import Create, Observed, Plan, Step
from e2e_controller.reconcile.strays import Strays
from e2e_controller.shared_folders import SharedFolders
from e2e_controller.store import Store
from e2e_controller.targets import with_targets
from e2e_controller.workqueue import WorkQueue

log = logging.getLogger(__name__)


class ContainerReconciler:
    """Makes containers as their manifests ask, and removes those that none asks for."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        driver: Driver,
        events: EventLog,
        directories: Directories,
        folders: SharedFolders,
        strays: Strays,
        prober: Prober,
        instruments: Instruments,
        retries: Retries,
        secrets: Secrets,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queue = queue
        self._driver = driver
        self._events = events
        self._directories = directories
        self._folders = folders
        self._instruments = instruments
        self._strays = strays
        self._retries = retries
        self._now = now
        self.contexts = Contexts(driver)
        self.secrets = secrets
        self.memory = Memory(directories)
        self.publisher = Publisher(store, driver, prober, events, now)
        self._notebook = Notebook(driver)
        self._observer = Observer(store, queue, driver, self._notebook, self.memory)
        self._ports = AwaitedPorts(store, retries)

    async def aclose(self) -> None:
        """Ends what was begun."""
        await self.publisher.aclose()

    async def plan(self, object_: Object, surroundings: Surroundings = NOW) -> Plan:
        """The plan for an object as it is given here; see `Reconciler.plan`."""
        object_ = await self.secrets.fresh(await self.contexts.fresh(object_))
        desired = self._desired(object_, surroundings)
        observed = await self._observer.observe(object_, desired, surroundings.find)
        # A new environment has no network yet; by the time of the reconcile that creates it has.
        observed = replace(observed, network_id=observed.network_id or "to be made")
        return make_plan(desired, observed, object_.status, self._now(), removal_grace(object_))

    async def reconcile(self, key: Key) -> Failure | None:
        """Makes one workload or job true, or plans to try again; returns why it could not."""
        wanted = self._store.get(key) or Object(key, deleting=True)
        object_ = await self.secrets.complete(await self.contexts.complete(wanted))
        desired = self._desired(object_)
        try:
            await self._strays.remove(key)
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
        return await self._make_true(self.memory.completed(object_, observed.container), desired, observed)

    async def _make_true(
        self, object_: Object, desired: Desired | None, observed: Observed
    ) -> Failure | None:
        key, queued = object_.key, self._queued(object_.key)
        plan = make_plan(desired, observed, object_.status, self._now(), removal_grace(object_))
        outcome, observed = await self._carry_out(object_, desired, observed, plan)
        if plan.steps and outcome.failure is None and self._is_outdated(object_):
            return None  # the key is queued again
        if plan.steps or (outcome.waiting_for and not object_.status.waiting_for):
            outcome = replace(outcome, phases=(queued, *outcome.phases))
        if outcome.failure is not None:
            failure = self._ports.judge(object_, desired, outcome.failure)
            outcome = replace(outcome, failure=failure, retry_at=self._retries.plan(key, failure))
            status = await self.publisher.status(object_, desired, observed, outcome)
            self.publisher.publish(object_, status, failure)
            return failure
        if desired is None:
            self._retries.plan(key, None)
            self._gone(object_)
            return None
        status = await self.publisher.status(object_, desired, observed, outcome)
        self.memory.attempts.note_end(key, desired, observed.container, status)
        # No event need tell of a program that has ended already.
        left = make_plan(desired, observed, status, self._now()) if plan.steps else plan
        self.publisher.publish(object_, unfinished(status) if left.steps else status)
        self._plan_left(key, left)
        return None

    async def _carry_out(
        self, object_: Object, desired: Desired | None, observed: Observed, plan: Plan
    ) -> tuple[Outcome, Observed]:
        """How the plan went, and what is there after it."""
        key, outcome = object_.key, Outcome(waiting=plan.waiting)
        try:
            self.memory.note_first(object_, desired, observed, plan)
            self._note_adoption(object_, desired, observed, plan)
            if plan.steps:
                past = await self._past(object_, desired, observed, plan)
                outcome = replace(await self._execute(object_, desired, plan), past=past)
                self._ports.released(observed.container, plan.steps[: outcome.done])
                failed = outcome.failure is not None
                if failed or not self._is_outdated(object_):
                    observed = await self._observer.look_again(key, desired, observed, failed=failed)
        except DriverError as error:
            outcome = replace(outcome, failure=outcome.failure or Failure.of(error))
        return outcome, observed

    def _plan_left(self, key: Key, left: Plan) -> None:
        """Queues what is left to do after a plan."""
        if left.steps:
            self._queue.add_rate_limited(key)
            return
        self._retries.plan(key, None)
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
        retry_at = self._retries.plan(object_.key, failure)
        current = self._store.get(object_.key)
        if object_.status.container is None or failure.terminal or current is None:
            outcome = Outcome(failure=failure, retry_at=retry_at)
            status = await self.publisher.status(object_, desired, Observed(), outcome)
            self.publisher.publish(object_, status, failure)
        else:
            self.publisher.not_seen(object_.key, current.status, failure, retry_at)
        return failure

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

        directory = desired.directory if desired and self._folders.available else None
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

    def _gone(self, object_: Object) -> None:
        self.memory.forget(object_.key)
        self.publisher.gone(object_.key)
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

    def _desired(self, object_: Object, surroundings: Surroundings = NOW) -> Desired | None:
        name = object_.key.environment
        environment = surroundings.environment or self._store.get(environment_key(name))
        neighbours = surroundings.neighbours or (lambda: self._store.select(name))
        object_ = with_targets(object_, environment, neighbours, self._store.guarded(name))
        return desired_container(
            object_, environment, self._directories, mount_shared=self._folders.available
        )
