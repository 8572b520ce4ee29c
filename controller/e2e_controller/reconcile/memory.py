"""What has to be known after a crash and no container tells, in files of the state folder."""

from collections.abc import Iterable
from dataclasses import replace

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Container, ContainerPhase, Key
from e2e_controller.objects import Object
from e2e_controller.reconcile.attempts import Attempts
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.restarts import Restarts
from e2e_controller.reconcile.rests import Rests
from e2e_controller.reconcile.steps import Create, Observed, Plan, Start, Stop


class Memory:
    """Which containers were ended on purpose, how often they were started again, and how far jobs are."""

    def __init__(self, directories: Directories) -> None:
        self.rests = Rests(directories.rests)
        self.attempts = Attempts(directories.attempts)
        self.restarts = Restarts(directories.restarts)

    def completed(self, object_: Object, container: Container | None) -> Object:
        """The object with what its status cannot know of a container of before this controller's start."""
        if container is None or object_.status.container is not None:
            return object_
        count = self.restarts.count(object_.key, container)
        return replace(object_, status=replace(object_.status, restart_count=count)) if count else object_

    def note_first(self, object_: Object, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        """To be called before anything of the plan is done. Raises `DriverError`."""
        key = object_.key
        self._note_rest(key, desired, observed, plan)
        for step in plan.steps:
            if isinstance(step, Create) and step.spec.attempt:
                self.attempts.note(key, step.spec_hash, step.spec.attempt)
            if isinstance(step, Start) and step.is_restart and observed.container is not None:
                self.restarts.note(key, observed.container, object_.status.restart_count)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self.rests.forget(key)
        self.attempts.forget(key)
        self.restarts.forget(key)

    def sweep(self, keys: Iterable[Key]) -> None:
        """Forgets all but these."""
        wanted = list(keys)
        self.rests.sweep(wanted)
        self.attempts.sweep(wanted)
        self.restarts.sweep(wanted)

    def _note_rest(self, key: Key, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        if desired is None or observed.container is None or desired.is_job:
            return
        if desired.state in ("Stopped", "Killed") or any(isinstance(step, Stop) for step in plan.steps):
            self.rests.note(key, observed.container)
        elif observed.rested and observed.container.phase is not ContainerPhase.EXITED:
            self.rests.forget(key)  # it was asked for, and not done; should it end now, it does so by itself
