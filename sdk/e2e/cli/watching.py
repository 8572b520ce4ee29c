"""`e2e get --watch`: a table that keeps itself current, or a line for each change."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from e2e import Client
from e2e.cli.keys import Key
from e2e.cli.output import HEADERS, WIDE_HEADERS, as_document, now, print_documents, rich_table, row
from e2e_api.v1 import manifest_service_pb2, object_pb2

Matches = Callable[[Key], bool]
Change = tuple[Key, object_pb2.Object | None]


def watch_table(client: Client, environment: str, matches: Matches, form: str | None) -> None:
    """Shows the objects that match, and each change, until the caller is interrupted."""
    changes = _changes(client, environment, matches)
    if form in ("json", "yaml", "name"):
        for change in changes:
            _print_change(*change, form)
    elif sys.stdout.isatty():
        _redraw(changes, wide=form == "wide")
    else:
        _append(changes, wide=form == "wide")


def _changes(client: Client, environment: str, matches: Matches) -> Iterator[Change]:
    """Each new state of an object; None when nothing is left of it."""
    request = manifest_service_pb2.WatchRequest(environment=environment)
    with client.transport.stream(client.transport.manifests.Watch, request, None) as responses:
        for response in responses:
            if response.HasField("object"):
                key, found = Key.of(response.object.key), response.object
            elif response.HasField("gone"):
                key, found = Key.of(response.gone), None
            else:
                continue
            if matches(key):
                yield key, found


def _print_change(key: Key, found: object_pb2.Object | None, form: str) -> None:
    document = as_document(found) if found is not None else {"key": key._asdict(), "gone": True}
    if form == "name":
        click.echo(key)
    elif form == "json":
        click.echo(json.dumps(document, ensure_ascii=False))  # a line each, for programs that read lines
    else:
        click.echo("---")
        print_documents(document, form)
    sys.stdout.flush()


def _append(changes: Iterator[Change], *, wide: bool) -> None:
    headers = WIDE_HEADERS if wide else HEADERS
    widths = [len(header) for header in headers]
    click.echo("  ".join(headers))
    for key, found in changes:
        cells = row(found, now(), wide=wide) if found is not None else _gone_row(key, len(headers))
        widths = [max(width, len(cell)) for width, cell in zip(widths, cells, strict=True)]
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        sys.stdout.flush()


def _gone_row(key: Key, length: int) -> list[str]:
    cells = [key.environment, key.name, key.kind, "Gone"]
    return cells + ["-"] * (length - len(cells))


def _redraw(changes: Iterator[Change], *, wide: bool) -> None:
    from rich.live import Live

    objects: dict[Key, object_pb2.Object] = {}

    def table() -> Any:
        at = now()
        rows = [row(found, at, wide=wide) for _, found in sorted(objects.copy().items())]
        return rich_table(WIDE_HEADERS if wide else HEADERS, rows)

    with Live(get_renderable=table, refresh_per_second=4):
        for key, found in changes:
            if found is None:
                objects.pop(key, None)
            else:
                objects[key] = found
