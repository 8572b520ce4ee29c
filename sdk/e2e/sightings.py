"""Which traces are waited for, what was seen meanwhile, and what an error says of both. Pure."""

import difflib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.spans import TagValue, Trace
from e2e_api.errors import E2EError, InvalidArgument, WaitFailed

_HISTORY = 10
_MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which traces count."""

    service: str
    operation: str | None = None
    tags: Mapping[str, TagValue] = field(default_factory=dict)
    across: Sequence[str] = ()
    where: Callable[[Trace], bool] | None = None
    limit: int = 200

    def __post_init__(self) -> None:
        if isinstance(self.across, str):
            raise InvalidArgument('across: expected a list of services, such as ["sidecar-1"]')
        if not self.service:
            raise InvalidArgument("service: expected a service's name; Jaeger finds traces by service")
        if self.limit < 1:
            raise InvalidArgument(f"limit: expected 1 or more, not {self.limit}")

    def query(self) -> dict[str, str]:
        """The question to Jaeger; `across` and `where` it does not know."""
        asked = {"service": self.service, "limit": str(self.limit)}
        if self.operation is not None:
            asked["operation"] = self.operation
        if self.tags:
            asked["tags"] = json.dumps({name: tag_text(value) for name, value in self.tags.items()})
        return asked

    def select(self, traces: Iterable[Trace]) -> list[Trace]:
        """Those of Jaeger's answer that count."""
        return [
            trace for trace in traces if not self.missing(trace) and (self.where is None or self.where(trace))
        ]

    def missing(self, trace: Trace) -> list[str]:
        """The services of `across` that have no span in the trace."""
        return [service for service in self.across if service not in trace.services]

    def __str__(self) -> str:
        parts = [self.service]
        parts += [f"operation {self.operation!r}"] if self.operation is not None else []
        parts += [f"{name}={tag_text(value)}" for name, value in self.tags.items()]
        parts += [f"across {', '.join(self.across)}"] if self.across else []
        parts += ["as `where` says"] if self.where is not None else []
        return ", ".join(parts)


@dataclass(slots=True)
class Looks:
    """What a wait has seen so far."""

    started: float
    seconds: float
    """From then on it may take so long."""
    times: int = 0
    found: Sequence[Trace] = ()
    """What Jaeger answered last."""
    trouble: str = ""
    """Why there was no answer at last."""
    history: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    """When, in seconds, and how many traces matched, for each change."""

    def left(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self.started + self.seconds - time.monotonic())

    def note(self, number: int) -> None:
        """So many matched now."""
        self.times += 1
        self.trouble = ""
        if not self.history or self.history[-1][1] != number:
            self.history.append((time.monotonic() - self.started, number))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What Jaeger knows, whatever was waited for."""

    services: Sequence[str]
    operations: Sequence[str] = ()
    """Of the service that was waited for."""
    traces: Sequence[Trace] = ()
    """Of that service."""


def tag_text(value: TagValue) -> str:
    """A tag's value as Jaeger compares it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def explain(
    error: E2EError, jaeger: str, wanted: Wanted, expected: str, looks: Looks, sighting: Sighting | None
) -> E2EError:
    """The error of a wait for traces, with all that is known put into its text."""
    seconds = time.monotonic() - looks.started
    outcome = f"waited {seconds:.1f} s"
    if isinstance(error, WaitFailed):
        outcome = f"it can no longer be, known after {seconds:.1f} s"
    lines = [f"traces of {wanted} at {jaeger} did not become {expected}: {outcome}"]
    lines += error.message.splitlines()[1:]
    lines += [f"  {line}" for line in _seen(looks)]
    if sighting is not None:
        lines += [f"  {line}" for line in _near_misses(jaeger, wanted, looks, sighting)]
    return type(error)("\n".join(lines), reason=error.reason, details=error.details)


def _seen(looks: Looks) -> list[str]:
    lines = []
    if looks.history:
        numbers = ", ".join(f"+{moment:.1f}s {number}" for moment, number in looks.history)
        lines.append(f"number of traces: {numbers}; looked {looks.times} times")
    if looks.trouble:
        lines.append(f"at last: {looks.trouble}")
    return lines


def _near_misses(jaeger: str, wanted: Wanted, looks: Looks, sighting: Sighting) -> list[str]:
    if wanted.service not in sighting.services:
        known = _names(sighting.services, wanted.service)
        return [f"services that {jaeger} knows: {known}" if known else f"no spans have reached {jaeger} yet"]
    lines = [f"{jaeger} has {len(sighting.traces)} traces of {wanted.service}"]
    if wanted.operation is not None and wanted.operation not in sighting.operations:
        lines.append(f"operations of {wanted.service}: {_names(sighting.operations, wanted.operation)}")
    lines += _tag_lines(wanted, sighting.traces)
    lines += [_incomplete(wanted, trace) for trace in list(looks.found)[-3:] if wanted.missing(trace)]
    if any(wanted.missing(trace) for trace in looks.found):
        lines.append(f"services that {jaeger} knows: {_names(sighting.services, '')}")
    if len(looks.found) >= wanted.limit:
        lines.append(f"only the newest {wanted.limit} were looked at: `limit`")
    return lines


def _incomplete(wanted: Wanted, trace: Trace) -> str:
    missing = ", ".join(wanted.missing(trace))
    return f"trace {trace.id} has spans of {', '.join(trace.services)}, none of {missing}"


def _tag_lines(wanted: Wanted, traces: Sequence[Trace]) -> list[str]:
    """The values that the wanted tags have instead, on the spans that could have matched."""
    spans = [span for trace in traces for span in trace.of(wanted.service, wanted.operation)]
    lines = []
    for name in wanted.tags if spans else ():
        values = {
            tag_text(tags[name]) for span in spans for tags in (span.tags, span.process_tags) if name in tags
        }
        names = {tag for span in spans for tag in (*span.tags, *span.process_tags)}
        if values:
            lines.append(f"values of tag {name}: {_names(values, tag_text(wanted.tags[name]))}")
        else:
            lines.append(f"no such span has tag {name}, but: {_names(names, name)}")
    return lines


def _names(names: Iterable[str], wanted: str) -> str:
    """The names, those like the wanted one first."""
    everything = sorted(names)
    alike = difflib.get_close_matches(wanted, everything, n=5, cutoff=0.5)
    ordered = [*alike, *(name for name in everything if name not in alike)]
    more = len(ordered) - _MOST_NAMES
    return ", ".join(ordered[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
