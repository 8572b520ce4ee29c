"""Executes plans through the driver, a step at a time. It decides nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from e2e_controller.drivers.base import ContainerGone, Driver, DriverError, Key, PortTaken
from e2e_controller.objects import Phase
from e2e_controller.reconcile.plan import (
    Build,
    Create,
    Kill,
    Pause,
    Plan,
    Pull,
    Refuse,
    Remove,
    Start,
    Step,
    Stop,
    Unpause,
)
from e2e_controller.reconcile.status import Failure, Outcome

StepBegins = Callable[[Step, str], None]
"""Is told of each step as it begins, and of its progress."""


@dataclass(slots=True)
class Execution:
    """One plan being executed for one key."""

    driver: Driver
    key: Key
    directory: Path | None
    tell: StepBegins
    now: Callable[[], datetime]
    created_id: str | None = None
    phases: list[Phase] = field(default_factory=list)
    started: bool = False

    async def run(self, plan: Plan) -> Outcome:
        """Executes until the end or the first failure, which is part of the outcome."""
        failure = None
        for step in plan.steps:
            began = self.now()
            self.tell(step, "")
            try:
                await self._execute(step)
            except DriverError as error:
                retry = error.retry or (isinstance(error, PortTaken) and error.chosen)
                chosen = isinstance(error, PortTaken) and error.chosen
                # A port that we chose is our own matter: the next attempt takes another.
                reason = "PortRace" if chosen else str(error.reason)
                failure = Failure(reason, str(error), retry)
                break
            elapsed = max(0.0, (self.now() - began).total_seconds())
            self.phases.append(Phase(type(step).__name__.lower(), began, elapsed))
        return Outcome(
            failure=failure,
            phases=tuple(self.phases),
            restarted=self.started and self.created_id is None,
            created=self.created_id is not None,
            waiting_for_network=plan.waiting_for_network,
        )

    async def _execute(self, step: Step) -> None:
        match step:
            case Pull(image=image):
                await self.driver.pull(image, lambda text: self.tell(step, text))
            case Build(build=build):
                await self.driver.build(build, lambda text: self.tell(step, text))
            case Create(spec=spec, spec_hash=spec_hash):
                if self.directory is not None:
                    make_open_directory(self.directory)
                self.created_id = await self.driver.create(self.key, spec, spec_hash)
            case Start():
                await self.driver.start_container(self._target(step))
                self.started = True
            case Stop(grace=grace):
                await _unless_gone(self.driver.stop(self._target(step), grace))
            case Kill():
                await _unless_gone(self.driver.kill(self._target(step)))
            case Pause():
                await self.driver.pause(self._target(step))
            case Unpause():
                await self.driver.unpause(self._target(step))
            case Remove():
                await _unless_gone(self.driver.remove(self._target(step)))
            case Refuse(cause=cause, reason=reason):
                raise DriverError(cause, reason=reason, retry=False)

    def _target(self, step: Start | Stop | Kill | Pause | Unpause | Remove) -> str:
        target = step.container_id or self.created_id
        if target is None:
            raise DriverError(f"{step}: there is no container to do it to")
        return target


def make_open_directory(directory: Path) -> None:
    """Makes a directory that containers of any user may write to. Raises `DriverError`."""
    try:
        for part in (directory.parent, directory):
            if not part.is_dir():
                part.mkdir(parents=True, exist_ok=True)
                part.chmod(0o777)
    except OSError as error:
        raise DriverError(
            f"cannot make directory {directory}: {error.strerror}", reason="DirectoryFailed"
        ) from error


async def _unless_gone(call: Awaitable[None]) -> None:
    try:
        await call
    except ContainerGone:
        return
