"""`e2e exec`: a command in a workload's container."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import click

from e2e import E2EError
from e2e.cli.keys import find_keys
from e2e.cli.options import Seconds, connect, environment_option
from e2e_api.v1 import container_service_pb2

_STANDARD_INPUT = 0
_PIECE = 64 * 1024


@click.command(short_help="Run a command in a workload's container.")
@environment_option
@click.option("--user", default="", help="Another user than the container's.")
@click.option("--workdir", default="", metavar="PATH", help="Another directory than the container's.")
@click.option("-e", "--variable", "variables", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option(
    "--stdin/--no-stdin", default=None, help="Pass standard input on. Default: unless it is a terminal."
)
@click.option("--timeout", type=Seconds(), metavar="DURATION", help="Longest run; none by default.")
@click.argument("name", metavar="NAME")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.pass_context
def command(
    context: click.Context,
    environment: str | None,
    user: str,
    workdir: str,
    variables: tuple[str, ...],
    stdin: bool | None,
    timeout: float | None,
    name: str,
    words: tuple[str, ...],
) -> int:
    """Runs a command in a workload's container, and exits with its exit code.

    There is no shell unless COMMAND names one: `e2e exec web -- sh -c 'echo $HOME'`.
    """
    with_stdin = stdin if stdin is not None else not os.isatty(_STANDARD_INPUT)
    with connect(context) as client:
        (key,) = find_keys(client, [name], environment)
        start = container_service_pb2.ExecStart(
            key=key.message(),
            command=words,
            env=_variables(variables),
            user=user,
            working_dir=workdir,
            stdin=with_stdin,
        )
        method = client.transport.containers.Exec
        with client.transport.exchange(method, _requests(start), timeout) as responses:
            for response in responses:
                match response.WhichOneof("output"):
                    case "stdout":
                        _write(sys.stdout.buffer, response.stdout)
                    case "stderr":
                        _write(sys.stderr.buffer, response.stderr)
                    case "exit_code":
                        return response.exit_code
    raise E2EError(f"the controller did not say how the command in {key} ended")


def _requests(start: container_service_pb2.ExecStart) -> Iterator[container_service_pb2.ExecRequest]:
    yield container_service_pb2.ExecRequest(start=start)
    while start.stdin:
        try:
            # Not through sys.stdin: its lock would be held when the command ends before its input does.
            piece = os.read(_STANDARD_INPUT, _PIECE)
        except OSError:
            return
        if not piece:
            return
        yield container_service_pb2.ExecRequest(stdin=piece)


def _variables(given: Iterable[str]) -> dict[str, str]:
    variables = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise click.UsageError(f"{text!r} is no variable: expected NAME=VALUE")
        variables[name] = value
    return variables


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()
