"""Options and arguments that several verbs share."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from e2e import Client
from e2e.cli.starting import wait_serving
from e2e_api.quantities import format_duration, parse_duration

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_TIMEOUT = 60.0


class Seconds(click.ParamType[float]):
    """A duration such as `30s`, `1m30s` or `250ms`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds."""
        text = f"{value}s" if re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(value)) else value
        try:
            return parse_duration(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def environment_option(function: F) -> F:
    """`--env`."""
    return click.option(
        "--env",
        "environment",
        metavar="NAME",
        envvar="E2E_ENVIRONMENT",
        show_envvar=True,
        help="The environment.",
    )(function)


def files_option(function: F) -> F:
    """`-f`, which may be given several times."""
    return click.option(
        "-f",
        "--filename",
        "files",
        metavar="FILE|FOLDER|-",
        multiple=True,
        help="Manifests: a file, a folder with all that is below it, or - for standard input; "
        "may be given several times.",
    )(function)


def timeout_option(function: F) -> F:
    """`--timeout`."""
    return click.option(
        "--timeout",
        type=Seconds(),
        default=DEFAULT_TIMEOUT,
        metavar="DURATION",
        show_default=format_duration(DEFAULT_TIMEOUT),
        help="Longest wait, such as 90s or 2m.",
    )(function)


def connect(context: click.Context) -> Client:
    """The connection to the controller that the command line names, to be used in a `with` block.

    One that is named may be just starting: it is waited for, a few seconds.
    """
    client = Client.connect(context.obj)
    wait_serving(client.target.address)
    return client
