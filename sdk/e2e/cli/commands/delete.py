"""`e2e delete`: objects, and all that is left of them."""

from collections.abc import Sequence

import click

from e2e import Client, E2EError, Goal
from e2e.cli.differences import difference_lines
from e2e.cli.files import Given, read_manifests
from e2e.cli.keys import Key, find_keys
from e2e.cli.options import connect, environment_option, files_option, timeout_option
from e2e.cli.waiting import messages, wait_and_show


@click.command(short_help="Delete objects, and wait until they are gone.")
@click.argument("names", nargs=-1, metavar="[NAME|KIND/NAME]...")
@files_option
@environment_option
@click.option("--all", "everything", is_flag=True, help="All that is in the environment, and itself.")
@click.option("--wait/--no-wait", default=True, help="Wait until nothing is left of them; the default.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
@timeout_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    files: tuple[str, ...],
    environment: str | None,
    everything: bool,
    wait: bool,
    dry_run: bool,
    timeout: float,
) -> None:
    """Deletes objects that `e2e apply` or a client made: by name, by manifest, or a whole environment.

    What a file in a watched folder defines is deleted by removing that file.
    """
    if (bool(names) + bool(files) + everything) != 1 or (everything and not environment):
        raise click.UsageError("give names, or -f FILE, or --env NAME --all")
    given = read_manifests(files, environment) if files else []
    with connect(context) as client:
        if dry_run:
            _show_plan(client, _keys(client, names, given, environment, everything))
            return
        if environment and everything:
            keys = _delete_environment(client, environment)
        else:
            keys = find_keys(client, names, environment) if names else [found.key for found in given]
            keys = _delete(client, keys, skip_absent=bool(files))
        if wait and keys:
            wait_and_show(client, keys, Goal.DELETED, timeout)


def _keys(
    client: Client, names: Sequence[str], given: Sequence[Given], environment: str | None, everything: bool
) -> list[Key]:
    if environment and everything:
        return [Key(environment, "Environment", environment)]
    return find_keys(client, names, environment) if names else [found.key for found in given]


def _show_plan(client: Client, keys: Sequence[Key]) -> None:
    for found in client.delete(messages(keys), dry_run=True):
        click.echo("\n".join(difference_lines(found)))


def _delete(client: Client, keys: Sequence[Key], *, skip_absent: bool) -> list[Key]:
    """Deletes these; gives what is to be waited for. Raises NotFound, unless `skip_absent`."""
    if skip_absent:
        there = {Key.of(found.key) for found in client.list_objects()}
        for key in keys:
            if key not in there:
                click.echo(f"{key} is not there")
        keys = [key for key in keys if key in there]
    if keys:
        client.delete(messages(keys))
    for key in keys:
        click.echo(f"{key} deleting")
    return list(keys)


def _delete_environment(client: Client, environment: str) -> list[Key]:
    found = client.list_objects(environment)
    if not found:
        click.echo(f"nothing is in environment {environment}")
        return []
    client.delete_environment(environment)
    by_file = [item for item in found if item.source and not item.managed_by_api]
    keys = [Key.of(item.key) for item in found if item not in by_file and item.key.kind != "Environment"]
    for key in keys:
        click.echo(f"{key} deleting")
    if by_file:
        listed = "\n".join(f"  {Key.of(item.key)}: {item.source}" for item in by_file)
        raise E2EError(f"these are defined by files, and stay until the files are removed:\n{listed}")
    held = any(item.leases for item in client.list_environments() if item.environment == environment)
    return keys if held else [*keys, Key(environment, "Environment", environment)]
