"""How objects are shown: as a table, as JSON or YAML for machines."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import click
import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from e2e.cli.keys import Key
from e2e.evidence import reason_line
from e2e.messages import time_of
from e2e.values import Goal
from e2e_api.v1 import object_pb2

HEADERS = ("ENVIRONMENT", "NAME", "KIND", "STATUS", "READY", "RESTARTS", "AGE", "IMAGE", "ENDPOINTS")
WIDE_HEADERS = (*HEADERS, "INTERNAL", "CONTAINER", "SOURCE")
_STYLES = {
    "green": ("Ready", "Running"),
    "red": ("Failed", "Rejected", "Exited"),
    "yellow": ("NotReady", "Restarting"),
    "dim": ("Stopped", "Killed", "Paused"),
}


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def span(seconds: float) -> str:
    """A time in one or two units: `0.4s`, `12s`, `3m12s`, `2h5m`, `4d3h`."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}s"
    units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    for (size, unit), (smaller_size, smaller) in pairwise(units):
        if seconds >= size:
            rest = int(seconds % size) // smaller_size
            return f"{int(seconds // size)}{unit}" + (f"{rest}{smaller}" if rest else "")
    return f"{int(seconds)}s"


def condition_of(found: object_pb2.Object, kind: str) -> object_pb2.Condition | None:
    """The condition of that type, if the object has it."""
    return next((condition for condition in found.status.conditions if condition.type == kind), None)


def holds(found: object_pb2.Object, kind: str) -> bool:
    """Whether the condition of that type is true."""
    condition = condition_of(found, kind)
    return condition is not None and condition.status == object_pb2.CONDITION_STATUS_TRUE


def is_wrong(found: object_pb2.Object) -> bool:
    """Whether somebody should have a look at it."""
    accepted = condition_of(found, "Accepted")
    rejected = accepted is not None and accepted.status == object_pb2.CONDITION_STATUS_FALSE
    return rejected or holds(found, "Failed") or found.status.summary in ("NotReady", "Restarting")


def row(found: object_pb2.Object, at: datetime, *, wide: bool = False) -> list[str]:
    """The object's line of the table."""
    status, container = found.status, found.status.container
    cells = [
        found.key.environment,
        found.key.name,
        found.key.kind,
        status.summary or "Pending",
        "-" if found.key.kind == "File" else "yes" if holds(found, "Ready") else "no",
        str(container.restart_count) if status.HasField("container") else "-",
        _age(found, at),
        container.image or _wanted_image(found) or "-",
        _listed(f"{endpoint.port}={endpoint.external}" for endpoint in status.endpoints if endpoint.external),
    ]
    if wide:
        internal = _listed(f"{endpoint.port}={endpoint.internal}" for endpoint in status.endpoints)
        cells += [internal, container.id[:12] or "-", found.source or "-"]
    return cells


def problem_lines(objects: Iterable[object_pb2.Object]) -> list[str]:
    """A line for each object that somebody should look at, with the reason."""
    return [
        f"{Key.of(found.key)}: {reason_line(found, Goal.READY).partition(': ')[2]}"
        for found in objects
        if is_wrong(found)
    ]


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with colours on a terminal; elsewhere plain columns, never cut."""
    if not sys.stdout.isatty():
        for line in plain_columns([headers, *rows]):
            click.echo(line)
        return
    from rich.console import Console

    Console().print(rich_table(headers, rows))


def rich_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """The table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for cells in rows:
        lines = (cell.replace(",", "\n") for cell in cells)
        table.add_row(*(Text(line, style=style_of(line), overflow="fold") for line in lines))
    return table


def style_of(word: str) -> str:
    """The colour of a status."""
    return next((style for style, words in _STYLES.items() if word in words), "")


def plain_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, with columns as wide as need be."""
    widths = [max(len(cells[index]) for cells in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]


def as_document(message: Message) -> dict[str, Any]:
    """A message for machines; an object's manifest is part of it rather than text in it."""
    document: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=False)
    manifest = document.pop("document", "")
    if manifest:
        document["manifest"] = json.loads(manifest)
    return document


def print_documents(value: Any, form: str) -> None:
    """Writes a value as `json` or `yaml`."""
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


def _age(found: object_pb2.Object, at: datetime) -> str:
    """How long it has been known, or its container has been running, whichever is longer."""
    accepted = condition_of(found, "Accepted")
    times = [
        time_of(accepted.last_transition_time) if accepted else None,
        time_of(found.status.container.started_at),
    ]
    known = [time for time in times if time is not None]
    return span((at - min(known)).total_seconds()) if known else "-"


def _wanted_image(found: object_pb2.Object) -> str:
    if not found.document:
        return ""
    spec = json.loads(found.document).get("spec", {})
    return str(spec.get("image") or ("(built)" if "build" in spec else ""))


def _listed(parts: Iterable[str]) -> str:
    return ",".join(parts) or "-"
