"""The loop: takes a key, observes, plans, executes, tells the status."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime

from e2e_api.conditions import Reason
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, Key
from e2e_controller.events import EventLog
from e2e_controller.guests import Guests
from e2e_controller.instruments import Instruments
from e2e_controller.objects import ENVIRONMENT, FILE, Object
from e2e_controller.probes import Prober
from e2e_controller.reconcile.containers import ContainerReconciler
from e2e_controller.reconcile.dependencies import NOW, Surroundings
from e2e_controller.reconcile.environments import EnvironmentReconciler
from e2e_controller.reconcile.outcome import Failure
from e2e_controller.reconcile.retries import Retries
from e2e_controller.reconcile.secrets import Secrets
from e2e_controller.reconcile.steps import Plan
from e2e_controller.reconcile.strays import Strays
from e2e_controller.shared_folders import SharedFolders
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
        folders: SharedFolders,
        instruments: Instruments,
        guests: Guests,
        secrets: Secrets,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queue = queue
        self._instruments = instruments
        self.strays = Strays(driver, events)
        """Lists of all containers are to be noted here."""
        self._retries = Retries(queue, instruments, now, store.doubt)
        shared = store, queue, driver, events, directories, folders, self.strays
        self._environments = EnvironmentReconciler(*shared, guests, now)
        self._containers = ContainerReconciler(*shared, prober, instruments, self._retries, secrets, now)

    async def aclose(self) -> None:
        """Ends what was begun; to be called when nobody works any more."""
        await self._containers.aclose()

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
                self._containers.publisher.bug(key, error)
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
            self._retries.plan(key, failure)
            return failure
        return await self._containers.reconcile(key)

    async def plan(self, object_: Object, surroundings: Surroundings = NOW) -> Plan:
        """What would be done about this workload or job, as it is given here. Changes nothing."""
        return await self._containers.plan(object_, surroundings)

    def sweep_notes(self) -> None:
        """At start, when it is known what is wanted: forgets what was noted of objects that are gone."""
        self._containers.memory.sweep(object_.key for object_ in self._store.select())

    def retry_now(self, key: Key) -> None:
        """Tries at once what failed: what was in the way is gone."""
        self._retries.release(key)

    def try_again(self, key: Key) -> None:
        """What failed is tried at once, as if it were new: what was in the way may be gone."""
        self._store.renew(key)
        self._retries.release(key)
        self._queue.forget(key)

    async def follow_secrets(self, interval: float) -> None:
        """Queues, every so many seconds, the objects whose secrets are no longer what they were."""
        while True:
            await asyncio.sleep(interval)
            for key in await self._containers.secrets.changed(self._store.select()):
                self.retry_now(key)

    async def context_changed(self, object_: Object) -> bool:
        """Whether what its image was built of is not what it would be built of now."""
        return await self._containers.contexts.changed(object_)
