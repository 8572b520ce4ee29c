"""`e2e rerun`: a job runs again, whatever became of it before."""

import click

from e2e import Goal
from e2e.cli.keys import find_keys
from e2e.cli.options import connect, environment_option, timeout_option
from e2e.cli.waiting import wait_and_show


@click.command(short_help="Run a job again.")
@click.argument("name", metavar="NAME")
@environment_option
@click.option("--wait", is_flag=True, help="Wait until it has completed.")
@timeout_option
@click.pass_context
def command(context: click.Context, name: str, environment: str | None, wait: bool, timeout: float) -> None:
    """Runs a job that was applied once more. One that a file defines runs again for another spec.runId there.

    With --wait, ends with 1 as soon as its last try has failed, and says why.
    """
    with connect(context) as client:
        (key,) = find_keys(client, [name], environment)
        client.run_job(key.message())
        click.echo(f"{key} runs again", err=True)
        if wait:
            wait_and_show(client, [key], Goal.COMPLETED, timeout)
