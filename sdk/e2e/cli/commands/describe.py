"""`e2e describe`: all that is known of one object."""

from datetime import datetime

import click

from e2e import Client, E2EError
from e2e.cli.description import describe, end_of
from e2e.cli.keys import find_keys
from e2e.cli.options import connect, environment_option
from e2e.cli.output import now
from e2e.messages import CONTAINER_KINDS, environment_summary_of
from e2e_api.v1 import container_service_pb2, event_service_pb2, object_pb2

_LOG_LINES = 20


@click.command(short_help="Show all that is known of one object.")
@click.argument("name", metavar="NAME|KIND/NAME")
@environment_option
@click.pass_context
def command(context: click.Context, name: str, environment: str | None) -> None:
    """Shows an object's conditions, container, last probe, phases of its start, events, log and manifest."""
    with connect(context) as client:
        (key,) = find_keys(client, [name], environment)
        found = client.get(key.message())
        at = now()
        events, log, ends = _events(client, found), _log(client, found), _ends(client, found, at)
        click.echo("\n".join(describe(found, events, log, at, ends)))


def _ends(client: Client, found: object_pb2.Object, at: datetime) -> str:
    if found.key.kind != "Environment":
        return ""
    summaries = (environment_summary_of(item) for item in client.list_environments())
    return next((end_of(item, at) for item in summaries if item.name == found.key.name), "")


def _events(client: Client, found: object_pb2.Object) -> list[event_service_pb2.Event]:
    key = found.key
    request = event_service_pb2.WatchEventsRequest(environment=key.environment, kind=key.kind, name=key.name)
    method = client.transport.events.WatchEvents
    with client.transport.stream(method, request, 10.0) as responses:
        return [response.event for response in responses if response.HasField("event")]


def _log(client: Client, found: object_pb2.Object) -> list[str]:
    if found.key.kind not in CONTAINER_KINDS or not found.status.HasField("container"):
        return []
    request = container_service_pb2.LogsRequest(key=found.key, tail=_LOG_LINES, masked=True)
    data = bytearray()
    try:
        with client.transport.stream(client.transport.containers.Logs, request, 10.0) as responses:
            for response in responses:
                data += response.data
    except E2EError:  # the container may have gone meanwhile
        return list(found.status.container.last_log_lines)[-_LOG_LINES:]
    return data.decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
