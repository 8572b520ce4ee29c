"""`e2e logs`: what a workload has written."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from e2e.cli.keys import find_keys
from e2e.cli.options import Seconds, connect, environment_option
from e2e_api.v1 import container_service_pb2


class Since(click.ParamType[datetime]):
    """A time such as `2030-01-31T12:00:00Z`, or how long ago: `5m`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time; one without a zone is UTC."""
        if isinstance(value, str) and "-" in value:
            try:
                time = datetime.fromisoformat(value)
            except ValueError:
                self.fail(f"expected 5m, or a time such as 2030-01-31T12:00:00Z, not {value!r}", param, ctx)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        return datetime.now(UTC) - timedelta(seconds=Seconds().convert(value, param, ctx))


@click.command(short_help="Show what a workload has written.")
@click.argument("name", metavar="NAME")
@environment_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what it writes, until it ends.")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Begin with that many last lines.")
@click.option("--since", type=Since(), metavar="TIME|DURATION", help="Only what is not older.")
@click.option("--timestamps", is_flag=True, help="Show when each line was written.")
@click.pass_context
def command(
    context: click.Context,
    name: str,
    environment: str | None,
    follow: bool,
    tail: int | None,
    since: datetime | None,
    timestamps: bool,
) -> None:
    """Shows what a workload has written: its standard output on ours, its standard error on ours."""
    with connect(context) as client:
        (key,) = find_keys(client, [name], environment)
        request = container_service_pb2.LogsRequest(
            key=key.message(), follow=follow, tail=tail, timestamps=timestamps, since=_timestamp(since)
        )
        with client.transport.stream(client.transport.containers.Logs, request, None) as responses:
            for response in responses:
                is_error = response.stream == container_service_pb2.OUTPUT_STREAM_STDERR
                stream = sys.stderr if is_error else sys.stdout
                stream.buffer.write(response.data)
                stream.buffer.flush()


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message
