"""All that is known of one object, as text. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from e2e.cli.output import plain_columns, span
from e2e.messages import time_of
from e2e.values import EnvironmentSummary
from e2e_api.v1 import event_service_pb2, object_pb2

_STATUSES = {object_pb2.CONDITION_STATUS_TRUE: "True", object_pb2.CONDITION_STATUS_FALSE: "False"}
_PREVIOUS_LINES = 20
_WARNING = event_service_pb2.EVENT_TYPE_WARNING


def describe(
    found: object_pb2.Object,
    events: Iterable[event_service_pb2.Event],
    log: Sequence[str],
    at: datetime,
    ends: str = "",
) -> Iterator[str]:
    """The description, a line each.

    `at` is the time that ages are told for, `ends` says when an environment ends.
    """
    status = found.status
    yield from _facts(found, ends)
    yield from _section("Conditions", _conditions(status.conditions, at))
    if status.HasField("container"):
        yield from _section("Container", _container(status.container, at))
    if status.HasField("previous_container"):
        yield from _section("Previous container", _container(status.previous_container, at))
        yield from _section("Its last log lines", status.previous_container.last_log_lines[-_PREVIOUS_LINES:])
    if status.HasField("last_probe"):
        yield from _section("Last probe", _probe(status.last_probe, at))
    endpoints = [
        [item.port, item.internal, item.external or item.problem or "-", item.protocol]
        for item in status.endpoints
    ]
    yield from _section("Endpoints", _table(("PORT", "INTERNAL", "EXTERNAL", "PROTOCOL"), endpoints))
    yield from _section("Phases", _phases(status.phases))
    yield from _section("Events", event_lines(events, at, with_object=False))
    yield from _section("Last log lines", log)
    if found.document:
        manifest = yaml.safe_dump(json.loads(found.document), sort_keys=False, allow_unicode=True)
        yield from _section("Manifest", manifest.splitlines())


def event_lines(events: Iterable[event_service_pb2.Event], at: datetime, *, with_object: bool) -> list[str]:
    """Events as a table, oldest first."""
    rows = [event_row(event, at, with_object=with_object) for event in events]
    headers = ("AGE", "TYPE", "REASON", *(("OBJECT",) if with_object else ()), "COUNT", "MESSAGE")
    return _table(headers, rows)


def event_row(event: event_service_pb2.Event, at: datetime, *, with_object: bool) -> list[str]:
    """One event's cells."""
    key = event.key
    name = [f"{key.environment}/{key.kind}/{key.name}"] if with_object else []
    kind = "Warning" if event.type == _WARNING else "Normal"
    message = " ".join(event.message.split())
    return [_ago(event.last_time, at), kind, event.reason, *name, _count(event), message]


def _count(event: event_service_pb2.Event) -> str:
    """How often, and over how long."""
    first, last = time_of(event.first_time), time_of(event.last_time)
    if event.count < 2 or first is None or last is None:
        return str(event.count)
    return f"{event.count} over {span((last - first).total_seconds())}"


def end_of(summary: EnvironmentSummary, at: datetime) -> str:
    """When and why an environment ends; empty where nothing ends it."""
    if summary.ends is None:
        return summary.end_cause
    moment = summary.ends.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{moment} (in {span((summary.ends - at).total_seconds())}): {summary.end_cause}"


def _facts(found: object_pb2.Object, ends: str) -> list[str]:
    key, status = found.key, found.status
    facts = [
        ("Environment", key.environment),
        ("Kind", key.kind),
        ("Name", key.name),
        ("Status", (status.summary or "Pending") + (" (deleting)" if found.deleting else "")),
        ("Progress", status.progress),
        ("What helps", status.action),
        ("Ends", ends),
        ("Defined in", found.source or "(implied)"),
        ("Generation", f"{found.generation}, status about {status.observed_generation}"),
        ("Labels", ", ".join(f"{name}={value}" for name, value in sorted(found.labels.items()))),
        ("Directory", status.directory),
        ("Spec hash", status.spec_hash),
    ]
    return plain_columns([(f"{name}:", value) for name, value in facts if value])


def _conditions(conditions: Iterable[object_pb2.Condition], at: datetime) -> list[str]:
    rows = [
        [
            condition.type,
            _STATUSES.get(condition.status, "Unknown"),
            _ago(condition.last_transition_time, at),
            condition.reason,
            condition.message,
        ]
        for condition in conditions
    ]
    return _table(("TYPE", "STATUS", "FOR", "REASON", "MESSAGE"), rows)


def _container(container: object_pb2.ContainerState, at: datetime) -> list[str]:
    facts = [
        ("Id", container.id),
        ("Image", container.image),
        ("State", container.state),
        ("Exit code", str(container.exit_code) if container.HasField("exit_code") else ""),
        ("Signal", container.signal),
        ("Error", container.error),
        ("Out of memory", "yes" if container.oom_killed else ""),
        ("Started", _when(container.started_at, at)),
        ("Finished", _when(container.finished_at, at)),
        ("Restarts", str(container.restart_count)),
    ]
    return plain_columns([(f"{name}:", value) for name, value in facts if value])


def _probe(probe: object_pb2.ProbeResult, at: datetime) -> list[str]:
    facts = [
        ("Request", probe.request),
        ("Answer", f"{probe.answer} ({'succeeded' if probe.success else 'failed'})"),
        ("Attempts", str(probe.attempts)),
        ("Time", _when(probe.time, at)),
    ]
    return plain_columns([(f"{name}:", value) for name, value in facts if value])


def _phases(phases: Sequence[object_pb2.Phase]) -> list[str]:
    rows = []
    for phase in phases:
        start, seconds = time_of(phase.started_at), phase.duration.ToMilliseconds() / 1000
        rows.append([phase.name, start.strftime("%H:%M:%S.%f")[:-3] if start else "-", f"{seconds:.3f}s"])
    return _table(("PHASE", "STARTED", "DURATION"), rows)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return plain_columns([headers, *rows]) if rows else []


def _ago(message: Timestamp, at: datetime) -> str:
    time = time_of(message)
    return span((at - time).total_seconds()) if time else "-"


def _when(message: Timestamp, at: datetime) -> str:
    time = time_of(message)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')} UTC ({_ago(message, at)} ago)" if time else ""
