"""`e2e trace`: where the time of an environment's start went."""

import json
from dataclasses import asdict

import click

from e2e import NotFound
from e2e.cli.options import connect
from e2e.cli.output import print_documents
from e2e.cli.waterfall import trace_lines
from e2e.tracing import Trace, chrome_events, critical_path, trace_of

FORMS = ("text", "json", "chrome")


@click.command(short_help="Show where the time of an environment's start went.")
@click.argument("environment", metavar="ENV")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(FORMS),
    default="text",
    show_default=True,
    help="`chrome` is trace events for Perfetto (ui.perfetto.dev) and chrome://tracing.",
)
@click.pass_context
def command(context: click.Context, environment: str, form: str) -> None:
    """Shows the phases of each object's last start as a waterfall, and the critical path of them all."""
    with connect(context) as client:
        trace = trace_of(environment, client.list_objects(environment))
    if trace is None:
        since = "since its controller runs; `e2e get` lists what there is"
        raise NotFound(f"nothing was started in environment {environment} {since}")
    if form == "chrome":
        click.echo(json.dumps(chrome_events(trace)))
    elif form == "json":
        print_documents(_document(trace), "json")
    else:
        click.echo("\n".join(trace_lines(trace)))


def _document(trace: Trace) -> dict[str, object]:
    return {
        "environment": trace.environment,
        "began": trace.began.isoformat(),
        "seconds": trace.end,
        "spans": [asdict(span) for span in trace.spans],
        "criticalPath": [asdict(span) for span in critical_path(trace)],
    }
