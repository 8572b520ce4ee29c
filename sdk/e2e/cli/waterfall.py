"""A trace as text: a bar for each phase, and the critical path. Pure."""

from collections.abc import Iterator, Sequence

from e2e.cli.output import plain_columns
from e2e.tracing import Span, Trace, critical_path

_WIDTH = 60
_STEP, _WAIT = "█", "░"


def trace_lines(trace: Trace) -> Iterator[str]:
    """The waterfall, a line a phase, then the critical path with shares of the whole."""
    path = critical_path(trace)
    moment = trace.began.strftime("%Y-%m-%d %H:%M:%S")
    yield f"{trace.environment}: {_seconds(trace.end)} from {moment} UTC; {_STEP} works, {_WAIT} waits"
    yield ""
    yield from plain_columns(_rows(trace, path))
    yield ""
    yield "Critical path (* above), in order:"
    rows = [[span.object, span.name, _seconds(span.seconds), f"{_share(span, trace):.0%}"] for span in path]
    yield from (f"  {line}" for line in plain_columns([("OBJECT", "PHASE", "TIME", "SHARE"), *rows]))


def _rows(trace: Trace, path: Sequence[Span]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("OBJECT", "PHASE", "START", "TIME", "")]
    for name in trace.objects:
        for number, span in enumerate(trace.of(name)):
            critical = any(on.object == name and on.name == span.name and _overlap(on, span) for on in path)
            cells = [name if number == 0 else "", ("*" if critical else "") + span.name]
            rows.append([*cells, f"+{_seconds(span.start)}", _seconds(span.seconds), _bar(span, trace.end)])
    return rows


def _bar(span: Span, whole: float) -> str:
    scale = _WIDTH / whole if whole else 0.0
    before = min(int(span.start * scale), _WIDTH - 1)
    length = max(1, min(round(span.seconds * scale), _WIDTH - before))
    return " " * before + (_WAIT if span.is_wait else _STEP) * length


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _share(span: Span, trace: Trace) -> float:
    return span.seconds / trace.end if trace.end else 0.0


def _seconds(value: float) -> str:
    return f"{value:.3f}s"
