"""Environments: their network and shared directory, and their end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from e2e_api.conditions import Condition, ConditionType, Reason, Status, action_for, set_condition
from e2e_api.manifests import GrpcProbe, HttpProbe, Manifest, TcpProbe, WorkloadSpec
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, DriverError, Key
from e2e_controller.events import EventLog
from e2e_controller.guests import Guests
from e2e_controller.objects import CONTAINER_KINDS, Object, ObjectStatus, Phase, acceptance
from e2e_controller.reconcile.execute import make_open_directory
from e2e_controller.reconcile.outcome import Failure
from e2e_controller.reconcile.patience import failing
from e2e_controller.reconcile.strays import Strays
from e2e_controller.shared_folders import SharedFolders
from e2e_controller.store import Store
from e2e_controller.workqueue import WorkQueue


class EnvironmentReconciler:
    """Makes networks and directories as long as an environment is wanted, and removes them afterwards."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        driver: Driver,
        events: EventLog,
        directories: Directories,
        folders: SharedFolders,
        strays: Strays,
        guests: Guests,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queue = queue
        self._driver = driver
        self._events = events
        self._directories = directories
        self._folders = folders
        self._strays = strays
        self._guests = guests
        self._now = now

    async def reconcile(self, key: Key) -> Failure | None:
        """Makes one environment true; returns why it could not."""
        object_ = self._store.get(key)
        try:
            if object_ is None or object_.deleting:
                await self._remove(key, object_)
                return None
            if not self._store.counts(object_):
                await self._leave(object_)
                return None
            if self._folders.available:
                make_open_directory(self._directories.shared(key.environment))
            began = self._now()
            network = await self._driver.ensure_network(key.environment)
        except DriverError as error:
            failure = Failure.of(error)
            if object_ is not None:
                self._tell(object_, "", failure)
            return failure
        if network != object_.status.network_id:
            phase = Phase("network", began, max(0.0, (self._now() - began).total_seconds()))
            object_ = replace(object_, status=replace(object_.status, phases=(phase,)))
        await self._guests.settle(key.environment)
        self._tell(object_, network, None)
        if self._is_probed(key.environment):
            await self._guests.reach_early(key.environment)
        return None

    def _is_probed(self, environment: str) -> bool:
        """Whether anything in it is asked over the network."""
        return any(is_asked_over_network(object_.manifest) for object_ in self._store.select(environment))

    async def _leave(self, object_: Object) -> None:
        """Of one whose manifest was rejected, and that nothing else asks for: it gets nothing."""
        if object_.status.network_id:
            await self._remove(object_.key, object_)
        current = self._store.get(object_.key)
        if current is not None and current.generation == object_.generation:
            known = replace(current.status, observed_generation=current.generation, summary="Rejected")
            self._store.set_status(object_.key, known)

    async def _remove(self, key: Key, object_: Object | None) -> None:
        there = await self._driver.list_containers()
        self._strays.note(there)
        for stray in self._strays.keys:
            if stray.environment == key.environment:
                self._queue.add(stray)
        if any(found.key.environment == key.environment for found in there):
            # Its containers are queued with their own keys, and queue this one when they are gone.
            return
        if self._is_wanted_again(key):
            return
        if object_ is not None:
            # Should the environment come back meanwhile, nothing may start in the network that goes.
            self._store.set_status(key, replace(object_.status, network_id=""))
        await self._driver.remove_environment(key.environment)
        self._guests.forget(key.environment)
        if self._is_wanted_again(key):
            return
        if (directory := self._put_aside(key.environment)) is not None:
            await self._driver.remove_tree(str(directory))
        if object_ is not None:
            self._store.forget(key, object_.generation)

    def _is_wanted_again(self, key: Key) -> bool:
        """Whether it has come back since the removal began; it is looked at anew then."""
        current = self._store.get(key)
        wanted = current is not None and not current.deleting and self._store.counts(current)
        if wanted:
            self._queue.add(key)
        return wanted

    def _put_aside(self, environment: str) -> Path | None:
        try:
            return self._directories.put_aside(environment)
        except OSError as error:
            message = f"cannot rename {self._directories.shared(environment)} to remove it: {error.strerror}"
            raise DriverError(message, reason="DirectoryFailed") from error

    def _tell(self, object_: Object, network: str, failure: Failure | None) -> None:
        current = self._store.get(object_.key)
        if current is None or current.generation != object_.generation:
            return
        status = self._status(current, failure)
        status = replace(status, network_id=network, phases=object_.status.phases)
        if failure is not None:
            self._events.record(object_.key, failure.reason, failure.message, warning=True)
        self._store.set_status(object_.key, status)
        if network != current.status.network_id or _trouble(status) != _trouble(current.status):
            for other in self._store.select(object_.key.environment):
                if other.key.kind in CONTAINER_KINDS:
                    self._queue.add(other.key)

    def _status(self, current: Object, failure: Failure | None) -> ObjectStatus:
        previous, now = current.status, self._now()
        trouble = failing(current, failure, now)
        ready = Condition(ConditionType.READY, Status.TRUE, Reason.NETWORK_READY)
        conditions = set_condition(
            tuple(c for c in previous.conditions if c.type != ConditionType.FAILED), acceptance(current), now
        )
        action = None
        if failure is not None:
            ready = Condition(ConditionType.READY, Status.FALSE, failure.reason, failure.message)
            if trouble.hopeless:
                action = action_for(failure.reason, may_pass=failure.retry)
                failed = Condition(ConditionType.FAILED, Status.TRUE, failure.reason, failure.message)
                conditions = set_condition(conditions, failed, now)
        return replace(
            previous,
            observed_generation=current.generation,
            conditions=set_condition(conditions, ready, now),
            summary="Ready" if failure is None else "Failed" if trouble.hopeless else "NotReady",
            progress=failure.message if failure else "",
            failed_attempts=trouble.attempts,
            failing_since=trouble.since,
            action=action,
            directory=str(self._directories.shared(current.key.environment)),
        )


def is_asked_over_network(manifest: Manifest | None) -> bool:
    """Whether the controller connects to it: for its readiness, or for its metrics."""
    spec = manifest.spec if manifest else None
    if not isinstance(spec, WorkloadSpec):
        return False
    probe = spec.readiness.probe if spec.readiness else None
    return spec.metrics is not None or isinstance(probe, HttpProbe | TcpProbe | GrpcProbe)


def _trouble(status: ObjectStatus) -> tuple[str, ...]:
    """What those who wait for its network are told."""
    ready, failed = status.condition(ConditionType.READY), status.condition(ConditionType.FAILED)
    return tuple(c.message for c in (ready, failed) if c is not None and c.message)
