"""Files whose new content goes into the container that is there. Pure."""

from datetime import datetime

from e2e_api.conditions import ConditionType
from e2e_controller.drivers.base import Container, ContainerPhase
from e2e_controller.objects import ObjectStatus
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.notes import Notes
from e2e_controller.reconcile.steps import Note, Observed, PutFiles, Signal, Start, Step, Stop

_SIGNAL_PATIENCE, _LOOK_AGAIN = 5.0, 0.25


def until_signal(
    steps: tuple[Step, ...], desired: Desired, container: Container, previous: ObjectStatus, now: datetime
) -> float:
    """Seconds until the steps' signal may be looked at again; 0 where it can be sent, or there is none.

    A program that has just started may not listen yet, and then the signal ends it. So its readiness is
    waited for, but not for long: it may be that it gets ready only by the signal.
    """
    known = previous.container
    same = known is not None and (known.id, known.started_at) == (container.id, container.started_at)
    if desired.readiness is None or (same and previous.is_true(ConditionType.READY)):
        return 0.0
    if container.started_at is None or not any(isinstance(step, Signal) for step in steps):
        return 0.0
    age = (now - container.started_at).total_seconds()  # the engine's clock may be another than ours
    return min(_LOOK_AGAIN, _SIGNAL_PATIENCE - age) if 0 <= age < _SIGNAL_PATIENCE else 0.0


def writing_only(steps: tuple[Step, ...], observed: Observed) -> tuple[Step, ...]:
    """Of the steps those that write what is not written yet."""
    known = observed.notes.files if observed.notes else {}
    puts = [step for step in steps if isinstance(step, PutFiles)]
    return tuple(step for step in puts if dict(step.notes.files) != dict(known))


def live_file_steps(desired: Desired, observed: Observed, replaced_for: str) -> tuple[Step, ...]:
    """Writes what changed, does what it asks for, and then notes it.

    Whatever is cut off in between is done again, and all of it.
    """
    container = observed.container
    if container is None or replaced_for or container.phase is ContainerPhase.PAUSED:
        return ()
    known = observed.notes or Notes(applied=False)
    changed = [
        file
        for file in desired.live_files
        if not known.applied or known.files.get(file.content.path) != file.digest
    ]
    if not changed:
        return ()
    cause = f"{', '.join(file.content.path for file in changed)} changed"
    reaction = _reaction(desired, container, [file.on_change for file in changed], cause)
    digests = {file.content.path: file.digest for file in desired.live_files}
    contents = tuple(file.content for file in changed)
    put = PutFiles(cause, container.id, contents, Notes(digests, applied=not reaction))
    return (put, *reaction, *((Note(cause, container.id, Notes(digests)),) if reaction else ()))


def _reaction(desired: Desired, container: Container, policies: list[str], cause: str) -> tuple[Step, ...]:
    """What the changed files ask for: a restart does for signals too."""
    if desired.state != "Running":
        return ()
    runs = container.phase is ContainerPhase.RUNNING
    if "Restart" in policies:
        stop = (Stop(cause, container.id, desired.grace_period),) if runs else ()
        return (*stop, Start(cause, container.id))
    names = [policy[len("Signal(") : -1] for policy in policies if policy.startswith("Signal(")]
    return tuple(Signal(cause, container.id, name) for name in dict.fromkeys(names)) if runs else ()
