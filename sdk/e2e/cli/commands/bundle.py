"""`e2e bundle`: all that is known of an environment, as one archive."""

from pathlib import Path

import click

from e2e.cli.options import connect


@click.command(short_help="Write all that is known of an environment into one archive.")
@click.argument("environment", metavar="ENV")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The archive; default: ENV-evidence.tar.gz in the working directory.",
)
@click.option(
    "--log-bytes", type=click.IntRange(1), metavar="N", help="At most so much of the end of each log."
)
@click.pass_context
def command(context: click.Context, environment: str, output: Path | None, log_bytes: int | None) -> None:
    """Writes an evidence archive: manifests, status, events, logs, the engine's view, metrics.

    Its index.txt says what is where, and what could not be had. Secrets are masked.
    """
    with connect(context) as client:
        path = client.bundle(environment, output, log_bytes=log_bytes or 0)
    click.echo(path)
