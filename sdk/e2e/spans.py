"""Traces as Jaeger tells them: frozen values, read from its answers. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from e2e_api.errors import Unavailable

TagValue = str | bool | int | float
"""What a tag may be."""
_T = TypeVar("_T")
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work of one service."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty where it has none."""
    service: str
    operation: str
    started_at: datetime
    seconds: float
    """How long it took."""
    tags: Mapping[str, TagValue]
    process_tags: Mapping[str, TagValue]
    """Of the process that did it, such as `service.version`."""

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return self.started_at + timedelta(seconds=self.seconds)

    @property
    def is_error(self) -> bool:
        """Whether it says that it failed."""
        return self.tags.get("error") in (True, "true") or self.tags.get("otel.status_code") == "ERROR"

    def __str__(self) -> str:
        failed = ", failed" if self.is_error else ""
        return f"{self.service} {self.operation} {self.seconds * 1000:.1f} ms{failed}"


@dataclass(frozen=True, slots=True)
class Trace:
    """The work that one request caused, in all services."""

    id: str
    spans: tuple[Span, ...]
    """Sorted by their start; never empty."""

    @property
    def root(self) -> Span:
        """The span that the others are below; of several, or where it did not arrive, the earliest."""
        known = {span.span_id for span in self.spans}
        return next((span for span in self.spans if span.parent_id not in known), self.spans[0])

    @property
    def services(self) -> tuple[str, ...]:
        """The services that took part, sorted."""
        return tuple(sorted({span.service for span in self.spans}))

    @property
    def started_at(self) -> datetime:
        """When its first span started."""
        return self.spans[0].started_at

    @property
    def seconds(self) -> float:
        """From the start of its first span to the end of its last."""
        return (max(span.ended_at for span in self.spans) - self.started_at).total_seconds()

    def of(self, service: str, operation: str | None = None) -> tuple[Span, ...]:
        """The spans of one service, and of one operation where it is given."""
        return tuple(
            span for span in self.spans if span.service == service and operation in (None, span.operation)
        )

    def children(self, span: Span) -> tuple[Span, ...]:
        """The spans right below a span."""
        return tuple(found for found in self.spans if found.parent_id == span.span_id)

    def __str__(self) -> str:
        """A tree, a line for each span: service, operation, milliseconds."""
        known = {span.span_id for span in self.spans}
        below: dict[str, list[Span]] = {}
        for span in self.spans:
            below.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
        lines = [f"trace {self.id}"]
        coming = [(span, 1) for span in reversed(below.pop("", []))]
        while coming:
            span, depth = coming.pop()
            lines.append(f"{'  ' * depth}{span}")
            coming += [(found, depth + 1) for found in reversed(below.pop(span.span_id, []))]
        return "\n".join(lines)


def services_of(content: bytes) -> list[str]:
    """The services of an answer, sorted. Raises Unavailable for what is none of Jaeger's answers."""
    return sorted(_read(content, str))


def operations_of(content: bytes) -> list[str]:
    """The operations of an answer, sorted. Raises as `services_of`."""
    return sorted(set(_read(content, lambda found: str(found["name"]))))


def traces_of(content: bytes) -> list[Trace]:
    """The traces of an answer, the earliest first. Raises as `services_of`."""
    traces = _read(content, lambda found: _trace(found) if found["spans"] else None)
    return sorted((trace for trace in traces if trace), key=lambda trace: trace.started_at)


def _read(content: bytes, read: Callable[[Any], _T]) -> list[_T]:
    try:
        return [read(found) for found in json.loads(content)["data"] or ()]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Unavailable("the answer is none of Jaeger's", reason="NoAnswer") from None


def _trace(found: Mapping[str, Any]) -> Trace:
    processes = {
        name: (process["serviceName"], _tags(process)) for name, process in found["processes"].items()
    }
    spans = [_span(span, *processes[span["processID"]]) for span in found["spans"]]
    return Trace(found["traceID"], tuple(sorted(spans, key=lambda span: (span.started_at, -span.seconds))))


def _span(found: Mapping[str, Any], service: str, process_tags: Mapping[str, TagValue]) -> Span:
    parents = [
        reference["spanID"]
        for reference in found.get("references") or ()
        if reference["traceID"] == found["traceID"]
    ]
    return Span(
        trace_id=found["traceID"],
        span_id=found["spanID"],
        parent_id=parents[0] if parents else "",
        service=service,
        operation=found["operationName"],
        started_at=_START + timedelta(microseconds=found["startTime"]),
        seconds=found["duration"] / 1e6,
        tags=_tags(found),
        process_tags=process_tags,
    )


def _tags(found: Mapping[str, Any]) -> dict[str, TagValue]:
    return {tag["key"]: tag["value"] for tag in found.get("tags") or ()}
