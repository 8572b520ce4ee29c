"""A wait that shows its progress."""

from collections.abc import Iterable, Sequence

import click

from e2e import Client, Goal, NotFound
from e2e.cli.keys import Key
from e2e.cli.progress import Progress
from e2e_api.v1 import object_pb2

GOALS = {
    "ready": Goal.READY,
    "running": Goal.RUNNING,
    "stopped": Goal.STOPPED,
    "paused": Goal.PAUSED,
    "completed": Goal.COMPLETED,
    "exited": Goal.EXITED,
    "not-ready": Goal.NOT_READY,
    "reconciled": Goal.RECONCILED,
    "deleted": Goal.DELETED,
}


def wait_and_show(client: Client, keys: Sequence[Key], goal: Goal, timeout: float) -> None:
    """Waits until all objects meet the goal; their progress is on standard error.

    Raises WaitFailed or WaitTimeout with the evidence, NotFound for what is not there.
    """
    with Progress(client, keys=keys):
        try:
            client.wait(messages(keys), goal, timeout)
        except NotFound:
            if goal is not Goal.DELETED:
                raise
    outcome = "as asked" if goal is Goal.RECONCILED else goal
    click.echo(f"{len(keys)} {'object is' if len(keys) == 1 else 'objects are'} {outcome}", err=True)


def messages(keys: Iterable[Key]) -> list[object_pb2.ObjectKey]:
    """The keys for a request."""
    return [key.message() for key in keys]
