"""The `e2e` command as a whole: its verbs, its global options, and how errors end it."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

INTERRUPTED = 130
TERMINATED = 143

VERBS = {
    "controller": "Run a controller in the foreground.",
    "apply": "Create or change what manifests define.",
    "up": "Keep what manifests define, for as long as this runs.",
    "delete": "Delete objects, and wait until they are gone.",
    "get": "List objects, or show some.",
    "describe": "Show all that is known of one object.",
    "rerun": "Run a job again.",
    "wait": "Wait until objects are ready, stopped, deleted, ...",
    "logs": "Show what a workload has written.",
    "exec": "Run a command in a workload's container.",
    "profile": "Save a profile of a workload's program.",
    "events": "Show what happened.",
    "gc": "Remove what controllers left that do not run.",
    "bundle": "Write all that is known of an environment into one archive.",
    "catalog": "List ready-made systems, or print the manifests of one.",
    "policy": "Show a policy, or what it says to manifests.",
    "diff": "Show what applying manifests would change.",
    "trace": "Show where the time of an environment's start went.",
    "certs": "Make or renew certificates for a controller and its clients.",
    "token": "Make a token for a controller and its clients.",  # nosec B105
    "doctor": "Look for what is missing on this machine.",
}


class Verbs(click.Group):
    """Loads a verb's module when it is used: the client takes longer to load than `--help` may take."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs, in the order of their help."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb of that name."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"e2e.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the verbs without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--controller",
    metavar="ADDRESS",
    help="The controller: unix:///path/to.sock, host:port or grpcs://host:port. Default: the one that "
    "E2E_CONTROLLER names, else an embedded one, which is started when it does not run.",
)
@click.option("--token-file", metavar="FILE", help="What it asks for. [E2E_TOKEN_FILE; E2E_TOKEN]")
@click.option(
    "--ca-file", metavar="FILE", help="Who signed its certificate, in PEM; asks for TLS. [E2E_CA_FILE]"
)
@click.option("--client-cert", metavar="FILE", help="Certificate to show it, in PEM. [E2E_CLIENT_CERT]")
@click.option("--client-key", metavar="FILE", help="The certificate's private key. [E2E_CLIENT_KEY]")
@click.version_option(package_name="e2e-controller", prog_name="e2e", message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context, /, controller: str | None, **files: str | None) -> None:
    """Keeps containers in the state that manifests ask for, and waits until they are ready."""
    context.obj = controller
    given = {name: path for name, path in files.items() if path}
    if given:
        from e2e.addresses import Controller  # here, as it loads gRPC

        context.obj = Controller(controller or "", **given)


def main() -> NoReturn:
    """Runs this process' command line; exits with 0, 1 for a failure, 2 for wrong usage, 130 for Ctrl+C."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # a terminal that lacks a character is no reason to fail
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it has to say is in our errors
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; gives the exit code. What went wrong is on standard error, in words."""
    try:
        result = program.main(list(arguments), prog_name="e2e", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        from e2e_api.errors import E2EError  # here, as it loads gRPC

        if not isinstance(error, E2EError):
            raise
        click.echo(f"error: {error}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)  # as an exception, so that a live display leaves the terminal as it was
