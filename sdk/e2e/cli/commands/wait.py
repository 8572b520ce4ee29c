"""`e2e wait`: until objects are as asked, or never will be."""

import click

from e2e import Client, Goal, NotFound
from e2e.cli.files import read_manifests
from e2e.cli.keys import Key, find_keys
from e2e.cli.options import connect, environment_option, files_option, timeout_option
from e2e.cli.waiting import GOALS, wait_and_show
from e2e.messages import CONTAINER_KINDS


@click.command(short_help="Wait until objects are ready, stopped, deleted, ...")
@click.argument("names", nargs=-1, metavar="[NAME|KIND/NAME]...")
@click.option(
    "--for",
    "goal",
    type=click.Choice(list(GOALS)),
    default="ready",
    show_default=True,
    help="What to wait for.",
)
@files_option
@environment_option
@timeout_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    goal: str,
    files: tuple[str, ...],
    environment: str | None,
    timeout: float,
) -> None:
    """Waits until all these objects are as asked: by name, by manifest, or all workloads and jobs of --env.

    Ends with 1 as soon as one of them never will be, or when the time is over, and says why: conditions, the
    last probe, exit code, the last log lines.
    """
    if names and files:
        raise click.UsageError("give names or -f FILE, not both")
    if not names and not files and not environment:
        raise click.UsageError("give names, or -f FILE, or --env NAME for all that is in it")
    given = read_manifests(files, environment) if files else []
    with connect(context) as client:
        wanted = GOALS[goal]
        keys = [found.key for found in given] or _named(client, names, environment, wanted)
        wait_and_show(client, keys, wanted, timeout)


def _named(client: Client, names: tuple[str, ...], environment: str | None, goal: Goal) -> list[Key]:
    if names:
        return find_keys(client, names, environment)
    there = [Key.of(found.key) for found in client.list_objects(environment or "")]
    keys = [key for key in there if key.kind in CONTAINER_KINDS]
    if not keys and goal is not Goal.DELETED:
        raise NotFound(f"environment {environment} has no workloads and no jobs")
    return keys or [Key(environment or "", "Environment", environment or "")]
