"""`e2e apply`: what manifests define becomes the desired state."""

from collections.abc import Sequence

import click

from e2e import Client
from e2e.cli.differences import ACTIONS, difference_lines
from e2e.cli.dry_runs import plan
from e2e.cli.files import Given, batches, read_manifests
from e2e.cli.keys import Key
from e2e.cli.options import connect, environment_option, files_option, timeout_option
from e2e.cli.output import as_document, print_documents
from e2e.cli.waiting import wait_and_show
from e2e.values import Goal
from e2e_api.v1 import manifest_service_pb2


@click.command(short_help="Create or change what manifests define.")
@files_option
@environment_option
@click.option("--dry-run", is_flag=True, help="Check the manifests, show what would be done, change nothing.")
@click.option("--wait", is_flag=True, help="Wait until everything is as its manifest asks.")
@timeout_option
@click.option("-o", "--output", "form", type=click.Choice(["json", "yaml"]), help="For machines.")
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    environment: str | None,
    dry_run: bool,
    wait: bool,
    timeout: float,
    form: str | None,
) -> None:
    """Creates or changes what manifests define, all of it or nothing.

    A manifest that names no environment goes to the one of --env, else to the one that its folder's name
    (the first level below FOLDER) says, else to `default`. Relative paths count from the manifest's folder.
    """
    if not files:
        raise click.UsageError("give the manifests: -f FILE, -f FOLDER or -f -")
    given = read_manifests(files, environment)
    with connect(context) as client:
        applied = plan(client, given) if dry_run else _apply(client, given)
        _show(applied, dry_run, form)
        if wait and not dry_run:
            wait_and_show(client, [Key.of(found.key) for found in applied], Goal.RECONCILED, timeout)


def _apply(client: Client, given: Sequence[Given]) -> list[manifest_service_pb2.AppliedObject]:
    return [found for documents in batches(given) for found in client.apply(documents)]


def _show(applied: Sequence[manifest_service_pb2.AppliedObject], dry_run: bool, form: str | None) -> None:
    if form:
        print_documents([as_document(found) for found in applied], form)
        return
    for found in applied:
        if dry_run:
            click.echo("\n".join(difference_lines(found)))
        else:
            click.echo(f"{Key.of(found.key)} {ACTIONS.get(found.action, 'applied')}")
