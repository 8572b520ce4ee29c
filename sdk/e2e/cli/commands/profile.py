"""`e2e profile`: a profile of a workload's program, as a file."""

from pathlib import Path

import click

from e2e import Environment
from e2e.cli.keys import find_keys
from e2e.cli.options import Seconds, connect, environment_option, timeout_option
from e2e.profiles import KINDS, ProfileKind


@click.command(short_help="Save a profile of a workload's program.")
@click.argument("name", metavar="NAME")
@click.argument("kind", type=click.Choice(KINDS))
@environment_option
@click.option(
    "--seconds",
    type=Seconds(),
    metavar="DURATION",
    help="How long it observes; default: 5s of cpu, 1s of trace, and of the others what there is now.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="The file; default: NAME-KIND.pb.gz in the working directory.",
)
@timeout_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    kind: ProfileKind,
    environment: str | None,
    seconds: float | None,
    output: Path | None,
    timeout: float,
) -> None:
    """Saves a profile of a workload that has `profiles`, and writes the file's path.

    `go tool pprof FILE` shows it, `go tool trace FILE` one of kind trace. No server is needed for it.
    """
    with connect(context) as client:
        (key,) = find_keys(client, [name], environment)
    with Environment.attach(key.environment, controller=context.obj) as attached:
        workload = attached.get(key.name)
        click.echo(workload.profile(kind, seconds=seconds, path=output, timeout=timeout))
