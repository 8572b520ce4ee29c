"""`e2e diff`: what applying manifests would change."""

import click

from e2e import E2EError
from e2e.cli.differences import difference_lines, is_different, summary_line
from e2e.cli.dry_runs import plan
from e2e.cli.files import read_manifests
from e2e.cli.options import connect, environment_option, files_option
from e2e.cli.output import as_document, print_documents

DIFFERENT, FAILED = 1, 2


@click.command(short_help="Show what applying manifests would change.")
@files_option
@environment_option
@click.option("-o", "--output", "form", type=click.Choice(["json", "yaml"]), help="For machines.")
@click.pass_context
def command(context: click.Context, files: tuple[str, ...], environment: str | None, form: str | None) -> int:
    """Shows which fields would change, and the steps that would be taken; changes nothing.

    Ends with 0 when all is as the manifests ask, with 1 when something would change, with 2 for errors.
    """
    if not files:
        raise click.UsageError("give the manifests: -f FILE, -f FOLDER or -f -")
    try:
        given = read_manifests(files, environment)
        with connect(context) as client:
            applied = plan(client, given)
    except E2EError as error:
        click.echo(f"error: {error}", err=True)
        return FAILED
    different = [found for found in applied if is_different(found)]
    if form:
        print_documents([as_document(found) for found in applied], form)
    else:
        for found in different:
            click.echo("\n".join(difference_lines(found)))
        click.echo(summary_line(applied), err=True)
    return DIFFERENT if different else 0
