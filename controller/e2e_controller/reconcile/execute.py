"""Executes plans through the driver, a step at a time. It decides nothing."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import ContainerGone, Driver, DriverError, Key, PortTaken
from e2e_controller.objects import Phase
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.outcome import Failure, Outcome
from e2e_controller.reconcile.steps import (
    Build,
    Create,
    Kill,
    Note,
    OnContainer,
    Pause,
    Plan,
    Pull,
    PutFiles,
    Refuse,
    Remove,
    Signal,
    Start,
    Step,
    Stop,
    Unpause,
)

log = logging.getLogger(__name__)

StepBegins = Callable[[Step, str], None]
"""Is told of each step as it begins, and of its progress."""


class _Abandoned(Exception):  # noqa: N818 - it is no error
    """Nobody wants any more what was under way."""


@dataclass(slots=True)
class Execution:
    """One plan being executed for one key."""

    driver: Driver
    notebook: Notebook
    key: Key
    directory: Path | None
    tell: StepBegins
    now: Callable[[], datetime]
    outdated: Callable[[Step], bool] = lambda _step: False
    """Whether this step, and those after it, are no longer what is wanted."""
    again: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when `outdated` may say something else."""
    created_id: str | None = None
    phases: list[Phase] = field(default_factory=list)
    done: int = 0
    started: bool = False
    restarted: bool = False
    _copying: float = 0.0

    async def run(self, plan: Plan) -> Outcome:
        """Executes until the end or the first failure, which is part of the outcome."""
        failure = None
        for step in plan.steps:
            if self.created_id is None and self.outdated(step):
                break  # what was begun with is finished: it would have to be removed again
            began = self.now()
            self.tell(step, "")
            try:
                await self._execute(step)
            except _Abandoned:
                break
            except DriverError as error:
                failure = self._failure(error)
                break
            finally:
                self._time(step, began, failure)
            self.done += 1
        return Outcome(
            failure=failure,
            done=self.done,
            phases=tuple(self.phases),
            started_again=self.started and self.created_id is None,
            restarted=self.restarted,
            created=self.created_id is not None,
            waiting=plan.waiting,
        )

    def _failure(self, error: DriverError) -> Failure:
        if not isinstance(error, PortTaken) or not error.chosen:
            return Failure.of(error)
        if self.created_id is not None:
            # A port that we chose is our own matter: the next attempt makes a container with another.
            return Failure(Reason.PORT_RACE, str(error), retry=True)
        remedy = "it was chosen when the container was made: delete and apply the workload for another one"
        return Failure(str(error.reason), f"{error}; {remedy}", error.retry)

    def _time(self, step: Step, began: datetime, failure: Failure | None) -> None:
        """Notes how long the step took, whether or not it could be done; copying counts apart."""
        name, took = type(step).__name__.lower(), max(0.0, (self.now() - began).total_seconds())
        copying, self._copying = self._copying, 0.0
        self.phases.append(Phase(name, began, max(0.0, took - copying)))
        if copying:
            self.phases.append(Phase("copy", self.phases[-1].ends_at, copying))
        fields = {"key": str(self.key), "step": name, "duration": took}
        if failure is None:
            log.info("%s: %s took %.3fs", self.key, name, took, extra=fields)
        else:
            log.warning("%s: %s failed after %.3fs: %s", self.key, name, took, failure.message, extra=fields)

    def _copied(self, seconds: float) -> None:
        self._copying = seconds

    async def _execute(self, step: Step) -> None:
        match step:
            case Pull(image=image):
                await self._while_wanted(step, self.driver.pull(image, lambda text: self.tell(step, text)))
            case Build(build=build):
                await self._while_wanted(step, self.driver.build(build, lambda text: self.tell(step, text)))
            case Create(spec=spec, spec_hash=spec_hash):
                if self.directory is not None:
                    make_open_directory(self.directory.parent)
                    make_open_directory(self.directory)
                self.created_id = await self.driver.create(self.key, spec, spec_hash, self._copied)
                self.notebook.created(self.created_id, spec.files)
            case Refuse(cause=cause, reason=reason):
                raise DriverError(cause, reason=reason, retry=False)
            case OnContainer():
                await self._execute_on(self._target(step), step)

    async def _while_wanted(self, step: Step, call: Coroutine[Any, Any, None]) -> None:
        """What may take minutes ends early when nobody wants it any more."""
        task, again = asyncio.ensure_future(call), None
        try:
            while not task.done():
                self.again.clear()
                if self.outdated(step):
                    raise _Abandoned
                again = asyncio.ensure_future(self.again.wait())
                await asyncio.wait((task, again), return_when=asyncio.FIRST_COMPLETED)
            await task
        finally:
            if again is not None:
                again.cancel()
            task.cancel()
            await asyncio.wait((task,))

    async def _execute_on(self, target: str, step: OnContainer) -> None:
        match step:
            case Start(is_restart=is_restart):
                await self.driver.start_container(target)
                self.started, self.restarted = True, is_restart
            case Stop(grace=grace):
                await _unless_gone(self.driver.stop(target, grace))
            case Kill():
                await _unless_gone(self.driver.kill(target))
            case Signal(signal=signal):
                await _unless_gone(self.driver.kill(target, signal))
            case Pause():
                await self.driver.pause(target)
            case Unpause():
                await self.driver.unpause(target)
            case Remove():
                await _unless_gone(self.driver.remove(target))
                self.notebook.forget(target)
            case PutFiles(files=files, notes=notes):
                await self.notebook.write(target, notes, files)
            case Note(notes=notes):
                await self.notebook.write(target, notes)

    def _target(self, step: OnContainer) -> str:
        target = step.container_id or self.created_id
        if target is None:
            raise DriverError(f"{step}: there is no container to do it to")
        return target


def make_open_directory(directory: Path) -> None:
    """Makes a directory that containers of any user may write to. Raises `DriverError`.

    They may put links where it is to be: none is followed.
    """
    try:
        if not directory.is_dir():
            directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fchmod(handle, 0o777)  # for containers of any user, below a folder of ours  # nosec B103
            finally:
                os.close(handle)
    except OSError as error:
        raise DriverError(
            f"cannot make directory {directory}: {error.strerror}", reason="DirectoryFailed"
        ) from error


async def _unless_gone(call: Awaitable[None]) -> None:
    try:
        await call
    except ContainerGone:
        return
