"""What has to be known after a crash and no container tells, in files of the state folder."""

from collections.abc import Iterable

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerPhase, Key
from e2e_controller.reconcile.attempts import Attempts
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.rests import Rests
from e2e_controller.reconcile.steps import Create, Observed, Plan, Stop


class Memory:
    """Which containers were ended on purpose, and how far jobs are."""

    def __init__(self, directories: Directories) -> None:
        self.rests = Rests(directories.rests)
        self.attempts = Attempts(directories.attempts)

    def note_first(self, key: Key, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        """To be called before anything of the plan is done. Raises `DriverError`."""
        self._note_rest(key, desired, observed, plan)
        for step in plan.steps:
            if isinstance(step, Create) and step.spec.attempt:
                self.attempts.note(key, step.spec_hash, step.spec.attempt)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self.rests.forget(key)
        self.attempts.forget(key)

    def sweep(self, keys: Iterable[Key]) -> None:
        """Forgets all but these."""
        wanted = list(keys)
        self.rests.sweep(wanted)
        self.attempts.sweep(wanted)

    def _note_rest(self, key: Key, desired: Desired | None, observed: Observed, plan: Plan) -> None:
        if desired is None or observed.container is None or desired.is_job:
            return
        if desired.state in ("Stopped", "Killed") or any(isinstance(step, Stop) for step in plan.steps):
            self.rests.note(key, observed.container)
        elif observed.rested and observed.container.phase is not ContainerPhase.EXITED:
            self.rests.forget(key)  # it was asked for, and not done; should it end now, it does so by itself
