"""`e2e controller`: the controller in the foreground."""

import os
import sys

import click

from e2e.cli.starting import claim_start


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Run a controller in the foreground.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS]")
def command(arguments: tuple[str, ...]) -> None:
    """Runs a controller in the foreground; `e2e controller --help` explains its options."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # In place of this process, so that signals reach it. -P: what lies in the working directory must not
    # stand in for a module of the controller's.
    command = [sys.executable, "-P", "-m", "e2e_controller", *arguments, *claim_start(arguments)]
    os.execv(sys.executable, command)  # noqa: S606  # nosec B606
