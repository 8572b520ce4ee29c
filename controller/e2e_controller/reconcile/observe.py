"""The fresh look that every reconcile begins with. It changes nothing."""

from dataclasses import replace

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import Driver, Key, NameTaken
from e2e_controller.objects import Object, environment_key
from e2e_controller.reconcile.attempts import Attempts
from e2e_controller.reconcile.dependencies import Find, network_waiting, waiting_for
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.plan import may_create
from e2e_controller.reconcile.rests import Rests
from e2e_controller.reconcile.steps import Observed, Waiting
from e2e_controller.store import Store
from e2e_controller.workqueue import WorkQueue


class Observer:
    """Looks at the engine and at what else a plan depends on."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        driver: Driver,
        notebook: Notebook,
        rests: Rests,
        attempts: Attempts,
    ) -> None:
        self._store = store
        self._queue = queue
        self._driver = driver
        self._notebook = notebook
        self._rests = rests
        self._attempts = attempts

    async def observe(self, object_: Object, desired: Desired | None, find: Find | None = None) -> Observed:
        """What a plan for the object has to know. Raises `DriverError`.

        `find` gives what it depends on, where that is something else than what is there now.
        """
        key = object_.key
        environment = self._store.get(environment_key(key.environment))
        network = environment.status.network_id if environment else ""
        try:
            container = await self._driver.inspect(key)
        except NameTaken as error:
            if desired is None:
                return Observed()  # a foreign container is none of ours to remove
            return Observed(image_present=True, network_id=network, waiting=self._in_the_way(key, error))
        if desired and container and container.network_id not in ("", network):
            network = await self._look_at_network(key.environment, network)
        rested = container is not None and self._rests.noted(key, container)
        observed = Observed(container, None, network, rested=rested)
        if desired is None:
            return observed
        if container is not None and not may_create(desired, observed):
            observed = replace(observed, cycle=self._cycle(object_, find))
            if desired.live_files:  # costs a call, once for each container
                observed = replace(observed, notes=await self._notebook.read(container.id))
            return observed
        if container is None and desired.is_job:
            attempt = self._attempts.next(key, desired.spec_hash)
            observed = replace(observed, attempt=attempt, end=self._attempts.end(key, desired.spec_hash))
        observed = replace(
            observed, waiting=self.waiting(object_, find), network_waiting=network_waiting(environment)
        )
        if desired.build or desired.state in ("Stopped", "Killed"):
            return observed
        present = await self._driver.image_present(desired.spec.image, key.environment)
        return replace(observed, image_present=present)

    async def look_again(
        self, key: Key, desired: Desired | None, observed: Observed, *, failed: bool
    ) -> Observed:
        """What a plan, which may have `failed`, has made of what was observed. Raises `DriverError`."""
        if desired is None and not failed:
            return replace(observed, container=None)
        container = await self._driver.inspect(key)
        rested = container is not None and self._rests.noted(key, container)
        notes = None
        if container is not None and desired is not None and desired.live_files and not failed:
            notes = await self._notebook.read(container.id)
        return replace(observed, container=container, rested=rested, notes=notes)

    async def _look_at_network(self, environment: str, known: str) -> str:
        """The network's id, of which something else was known that a container contradicts.

        Were the container replaced on hearsay, and the hearsay wrong, so would be the next one, for ever.
        """
        network = await self._driver.inspect_network(environment) or ""
        if network != known:
            self._queue.add(environment_key(environment))
        return network

    def _in_the_way(self, key: Key, error: NameTaken) -> Waiting:
        """What to do about the container that has our name. Raises `NameTaken` where it is there to stay."""
        rival = self._store.find_container(key.environment, key.name, but=key)
        if rival is None:
            raise error
        if rival.deleting:
            return Waiting(Reason.PENDING, f"waits for {rival.key.kind} {key.name} to be gone")
        raise NameTaken(
            f"{rival.key.kind} {key.name} of this environment has that name, which workloads and jobs share",
            remedy="rename one of them",
        )

    def _cycle(self, object_: Object, find: Find | None) -> str:
        waiting = self.waiting(object_, find)
        cyclic = waiting is not None and waiting.reason == Reason.DEPENDENCY_CYCLE
        return f"once its container is gone, {waiting.message}" if waiting and cyclic else ""

    def waiting(self, object_: Object, find: Find | None = None) -> Waiting | None:
        """For which other objects its creation waits, if it does."""
        environment = object_.key.environment
        return waiting_for(object_, find or (lambda name: self._store.find_container(environment, name)))
