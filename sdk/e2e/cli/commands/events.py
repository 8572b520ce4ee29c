"""`e2e events`: what happened."""

import sys

import click

from e2e.cli.description import event_lines, event_row
from e2e.cli.keys import Key, parse_name
from e2e.cli.options import connect, environment_option
from e2e.cli.output import as_document, now, print_documents
from e2e_api.v1 import event_service_pb2


@click.command(short_help="Show what happened.")
@click.argument("name", required=False, metavar="[NAME|KIND/NAME]")
@environment_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens.")
@click.option("-o", "--output", "form", type=click.Choice(["json", "yaml"]), help="For machines.")
@click.pass_context
def command(
    context: click.Context, name: str | None, environment: str | None, follow: bool, form: str | None
) -> None:
    """Shows the events that are kept, of all objects, of an environment or of one object."""
    key = parse_name(name, environment) if name else Key(environment or "", "", "")
    request = event_service_pb2.WatchEventsRequest(
        environment=key.environment, kind=key.kind, name=key.name, follow=follow
    )
    kept: list[event_service_pb2.Event] = []
    synced = False
    with connect(context) as client:
        method = client.transport.events.WatchEvents
        with client.transport.stream(method, request, None) as responses:
            for response in responses:
                if response.HasField("event") and synced:
                    _show_new(response.event, form)
                elif response.HasField("event"):
                    kept.append(response.event)
                else:
                    synced = True
                    _show_kept(kept, form, follow)


def _show_kept(events: list[event_service_pb2.Event], form: str | None, follow: bool) -> None:
    if form and follow:
        for event in events:
            _show_new(event, form)
    elif form:
        print_documents([as_document(event) for event in events], form)
    else:
        lines = event_lines(events, now(), with_object=True)
        click.echo("\n".join(lines) if lines else "nothing has happened", err=not lines)
    sys.stdout.flush()


def _show_new(event: event_service_pb2.Event, form: str | None) -> None:
    if form:
        click.echo("---" if form == "yaml" else "", nl=form == "yaml")
        print_documents(as_document(event), form)
    else:
        click.echo("  ".join(event_row(event, now(), with_object=True)))
    sys.stdout.flush()
