"""Where the time of a start went: spans of an environment's objects, and the path that it waited on. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from e2e.messages import time_of
from e2e_api.v1 import object_pb2

WAITS = ("queue", "network", "dependencies")
_ENVIRONMENT = "Environment/"
IDLE = "(idle)"
"""Time of the critical path that no phase accounts for, such as a pause before another attempt."""
_LEAST_GAP = 0.001
"""Seconds; what is shorter is left out of the path."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One phase of one object; times in seconds since the start of the trace."""

    start: float
    end: float
    object: str
    name: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    @property
    def is_wait(self) -> bool:
        """Whether it waited for something else; the network is the environment's own work."""
        return self.name in WAITS and not self.object.startswith(_ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Trace:
    """The start of an environment."""

    environment: str
    began: datetime
    spans: tuple[Span, ...]
    """Sorted by their start."""
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By an object's name: what it waited for."""

    @property
    def end(self) -> float:
        """When the last phase of any object ended, in seconds since the start."""
        return max((span.end for span in self.spans), default=0.0)

    def of(self, name: str) -> tuple[Span, ...]:
        """The spans of one object."""
        return tuple(span for span in self.spans if span.object == name)

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the objects, in the order in which they began."""
        return tuple(dict.fromkeys(span.object for span in self.spans))


def trace_of(environment: str, objects: Iterable[object_pb2.Object]) -> Trace | None:
    """The trace that the objects' phases make; None where none has any."""
    found = [item for item in objects if item.status.phases]
    times = [time for item in found for phase in item.status.phases if (time := time_of(phase.started_at))]
    if not times:
        return None
    began = min(times)
    spans = []
    for item in found:
        for phase in item.status.phases:
            started = time_of(phase.started_at)
            if started is not None:
                start = (started - began).total_seconds()
                seconds = phase.duration.ToNanoseconds() / 1e9
                spans.append(Span(start, start + seconds, _name(item.key), phase.name))
    dependencies = {_name(item.key): _dependencies(item) for item in found}
    return Trace(environment, began, tuple(sorted(spans)), dependencies)


def critical_path(trace: Trace) -> list[Span]:
    """What the end of the start waited on, from beginning to end, without overlaps or noticeable gaps.

    It is walked backwards from what ended last. While an object waited for its dependencies, the path leads
    through the one that ended last before the wait did; while it waited for the network, through the
    environment. Time that no phase accounts for is idle.
    """
    path: list[Span] = []
    last = max(trace.spans, key=lambda span: span.end, default=None)
    if last is None:
        return path
    name, now = last.object, last.end
    for _ in range(2 * len(trace.spans) + 2):  # each step takes a span or begins another object
        span = _before(trace.of(name), now)
        if span is None:
            break
        end = min(span.end, now)
        if now - end > _LEAST_GAP:
            path.append(Span(end, now, name, IDLE))
        other = _waited_for(trace, span)
        if other is not None and other.end > span.start + _LEAST_GAP:
            if end - other.end > _LEAST_GAP:
                path.append(Span(other.end, end, name, span.name))
            name, now = other.object, min(other.end, end)
            continue
        if end - span.start > _LEAST_GAP:
            path.append(Span(span.start, end, name, span.name))
        now = span.start
    return path[::-1]


def _before(spans: Sequence[Span], now: float) -> Span | None:
    """The span that was under way just before, or the last one that had ended."""
    return max(
        (s for s in spans if s.start < now - 1e-9), key=lambda s: (min(s.end, now), s.start), default=None
    )


def _waited_for(trace: Trace, span: Span) -> Span | None:
    """The last span, before that wait's end, of what was waited for."""
    names: Sequence[str] = ()
    if span.is_wait and span.name == "network":
        names = [name for name in trace.objects if name.startswith(_ENVIRONMENT)]
    elif span.name == "dependencies":
        names = [name for name in trace.dependencies.get(span.object, ()) if name != span.object]
    ended = [s for name in names for s in trace.of(name) if s.end <= span.end + _LEAST_GAP]
    return max(ended, key=lambda s: s.end, default=None)


def chrome_events(trace: Trace) -> dict[str, Any]:
    """The trace for Perfetto and chrome://tracing: a row an object, and one for the critical path."""
    rows = ["critical path", *trace.objects]
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": name}}
        for number, name in enumerate(rows)
    ]
    events.insert(0, {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": trace.environment}})
    events += [_chrome_event(span, rows.index(span.object), span.name) for span in trace.spans]
    events += [_chrome_event(span, 0, f"{span.object} {span.name}") for span in critical_path(trace)]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _chrome_event(span: Span, row: int, name: str) -> dict[str, Any]:
    times = {"ts": round(span.start * 1e6), "dur": round(span.seconds * 1e6)}
    category = "wait" if span.is_wait or span.name == IDLE else "step"
    return {"ph": "X", "pid": 1, "tid": row, "name": name, "cat": category, **times}


def _name(key: object_pb2.ObjectKey) -> str:
    """A workload by its name, anything else by kind and name."""
    return key.name if key.kind == "Workload" else f"{key.kind}/{key.name}"


def _dependencies(found: object_pb2.Object) -> tuple[str, ...]:
    """What its manifest says that it depends on, by name; a Job as `Job/name`."""
    spec = json.loads(found.document).get("spec", {}) if found.document else {}
    names = []
    for entry in spec.get("dependsOn", []):
        kind = entry.get("kind", "")
        names += [entry["name"]] if kind == "Workload" else [f"{kind}/{entry['name']}"] if kind else []
        names += [entry["name"], f"Job/{entry['name']}"] if not kind else []
    return tuple(names)
