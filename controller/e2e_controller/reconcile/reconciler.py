"""The loop: takes a key, observes, plans, executes, tells the status."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from e2e_api.conditions import Condition, ConditionType, Reason, Status, set_condition
from e2e_api.manifests import Environment
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import (
    Container,
    ContainerPhase,
    Driver,
    DriverError,
    EngineInfo,
    Key,
    NameTaken,
)
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.objects import ENVIRONMENT, FILE, Object, acceptance, environment_key
from e2e_controller.probes import Prober
from e2e_controller.reconcile.desired import Desired, desired_workload
from e2e_controller.reconcile.execute import Execution, make_open_directory
from e2e_controller.reconcile.plan import Observed, Plan, Step, plan_workload, replacement_cause
from e2e_controller.reconcile.rests import Rests
from e2e_controller.reconcile.retries import Retries
from e2e_controller.reconcile.status import Failure, Outcome, step_status, workload_status
from e2e_controller.store import Store
from e2e_controller.workqueue import QueueClosed, WorkQueue

log = logging.getLogger(__name__)

LOG_LINES = 100
LOG_LINE_LENGTH = 2_000


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
        self._rests = Rests(directories.rests)
        self._retries = Retries(queue, now)
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
            self._retries.plan(key, failure)
            return failure
        return await self._reconcile_workload(key)

    async def plan(self, object_: Object) -> Plan:
        """What would be done about this object, as it is given here, until it is true. Changes nothing."""
        desired = self._desired(object_)
        observed = await self._observe(object_.key, desired)
        # A new environment has no network yet; by the time of the reconcile that creates it has.
        observed = replace(observed, network_id=observed.network_id or "to be made")
        return plan_workload(desired, observed, object_.status, self._now())

    # Workloads

    async def _reconcile_workload(self, key: Key) -> Failure | None:
        object_ = self._store.get(key) or Object(key, deleting=True)
        desired = self._desired(object_)
        wait = self._retries.held_back(object_, desired)
        if wait > 0:
            self._queue.add_after(key, wait)
            return None
        outcome, observed = Outcome(), Observed()
        plan = Plan()
        try:
            observed = await self._observe(key, desired)
            plan = plan_workload(desired, observed, object_.status, self._now())
            self._note_rest(key, desired, observed)
            if plan.steps:
                outcome = await self._execute(object_, desired, plan)
                gone = desired is None and outcome.failure is None
                container = None if gone else await self._driver.inspect(key)
                observed = replace(observed, container=container)
            else:
                outcome = Outcome(waiting_for_network=plan.waiting_for_network)
        except DriverError as error:
            outcome = replace(outcome, failure=Failure(str(error.reason), str(error), error.retry))
        retry_at = self._retries.plan(key, outcome.failure)
        if outcome.failure is None and plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)
        if desired is None and outcome.failure is None:
            self._gone(object_)
            return None
        await self._tell(object_, desired, observed, replace(outcome, retry_at=retry_at))
        return outcome.failure

    def _note_rest(self, key: Key, desired: Desired | None, observed: Observed) -> None:
        """Before anything is done, since a crash may come in between."""
        if desired is None or observed.container is None:
            return
        if desired.state in ("Stopped", "Killed"):
            self._rests.note(key, observed.container)
        elif observed.rested and observed.container.phase is not ContainerPhase.EXITED:
            self._rests.forget(key)  # it was asked for, and not done; should it end now, it does so by itself

    async def _execute(self, object_: Object, desired: Desired | None, plan: Plan) -> Outcome:
        log.info("%s: %s", object_.key, "; ".join(str(step) for step in plan.steps))

        def tell(step: Step, progress: str) -> None:
            current = self._store.get(object_.key)
            if current is not None:
                self._store.set_status(object_.key, step_status(current, step, progress, self._now()))

        directory = desired.directory if desired and self._info.local_files else None
        execution = Execution(self._driver, object_.key, directory, tell, self._now)
        outcome = await execution.run(plan)
        done = plan.steps[: len(outcome.phases)]
        for step in done:
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
        if desired and container and container.started_at and container.network_id != network:
            network = await self._look_at_network(key.environment, network)
        rested = container is not None and self._rests.noted(key, container)
        observed = Observed(container, None, network, rested)
        if desired is None or desired.build or desired.state in ("Stopped", "Killed"):
            return observed
        if container is None or replacement_cause(desired, observed):
            return replace(observed, image_present=await self._driver.image_present(desired.spec.image))
        return observed

    async def _look_at_network(self, environment: str, known: str) -> str:
        """The network's id, of which something else was known that a container contradicts.

        Were the container replaced on hearsay, and the hearsay wrong, so would be the next one, for ever.
        """
        network = await self._driver.inspect_network(environment) or ""
        if network != known:
            self._queue.add(environment_key(environment))
        return network

    async def _tell(
        self, object_: Object, desired: Desired | None, observed: Observed, outcome: Outcome
    ) -> None:
        """Stores the status, and keeps the probe and the evidence up with it."""
        key, container = object_.key, observed.container
        report = None
        running = container is not None and container.phase is ContainerPhase.RUNNING
        if container is not None and running and desired is not None and desired.readiness is not None:
            self._prober.watch(key, container, desired.readiness, desired.ports)
            report = self._prober.report(key, container)
        else:
            self._prober.forget(key)
        if container is not None and container.phase is ContainerPhase.EXITED:
            outcome = replace(outcome, log_lines=await self._last_log_lines(object_, container))
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

    async def _last_log_lines(self, object_: Object, container: Container) -> tuple[str, ...]:
        """The evidence; read once for each end of a container."""
        known = object_.status.container
        if known is not None and (known.id, known.finished_at) == (container.id, container.finished_at):
            return object_.status.last_log_lines
        pieces = []
        try:
            async with asyncio.timeout(5):
                async for output in self._driver.logs(container.id, tail=LOG_LINES):
                    pieces.append(output.data)
        except (DriverError, TimeoutError) as error:
            return (f"(the log could not be read: {error or 'timeout'})",)
        lines = b"".join(pieces).decode(errors="replace").splitlines()
        return tuple(line[:LOG_LINE_LENGTH] for line in lines[-LOG_LINES:])

    def _gone(self, object_: Object) -> None:
        self._rests.forget(object_.key)
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

    def _desired(self, object_: Object) -> Desired | None:
        environment = self._store.get(environment_key(object_.key.environment))
        defaults = environment.manifest if environment else None
        return desired_workload(
            object_,
            defaults if isinstance(defaults, Environment) else None,
            self._directories,
            mount_shared=self._info.local_files,
        )

    # Environments

    async def _reconcile_environment(self, key: Key) -> Failure | None:
        object_ = self._store.get(key)
        try:
            if object_ is None or object_.deleting:
                await self._remove_environment(key, object_)
                return None
            if self._info.local_files:
                make_open_directory(self._directories.shared(key.environment))
            network = await self._driver.ensure_network(key.environment)
        except DriverError as error:
            failure = Failure(str(error.reason), str(error), error.retry)
            if object_ is not None:
                self._tell_environment(object_, "", failure)
            return failure
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
            directory=str(self._directories.shared(object_.key.environment)),
        )
        self._store.set_status(object_.key, status)
        if network != previous.network_id:
            for other in self._store.select(object_.key.environment):
                if other.key.kind not in (ENVIRONMENT, FILE):
                    self._queue.add(other.key)
