"""Files whose new content goes into the container that is there. Pure."""

from e2e_controller.drivers.base import ContainerPhase
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.notes import Notes
from e2e_controller.reconcile.steps import Note, Observed, PutFiles, Signal, Start, Step, Stop


def live_file_steps(desired: Desired, observed: Observed, replaced_for: str) -> tuple[Step, ...]:
    """Writes what changed, does what it asks for, and then notes it.

    Noted last: whatever is cut off in between is done again, and all of it.
    """
    container = observed.container
    if container is None or replaced_for or container.phase is ContainerPhase.PAUSED:
        return ()
    there = observed.notes.files if observed.notes else {}
    changed = [file for file in desired.live_files if there.get(file.content.path) != file.digest]
    if not changed:
        return ()
    cause = f"{', '.join(file.content.path for file in changed)} changed"
    steps: list[Step] = [PutFiles(cause, container.id, tuple(file.content for file in changed))]
    policies = list(dict.fromkeys(file.on_change for file in changed))
    runs = container.phase is ContainerPhase.RUNNING
    if "Restart" in policies and desired.state == "Running":
        steps += [Stop(cause, container.id, desired.grace_period)] if runs else []
        steps.append(Start(cause, container.id))
    elif runs and desired.state == "Running":
        names = [policy[len("Signal(") : -1] for policy in policies if policy.startswith("Signal(")]
        steps += [Signal(cause, container.id, name) for name in names]
    digests = {file.content.path: file.digest for file in desired.live_files}
    steps.append(Note(cause, container.id, Notes(digests)))
    return tuple(steps)
