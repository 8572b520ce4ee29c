"""What the error of a wait for metrics says: what was waited for, why it cannot be, the evidence. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from e2e.evidence import outcome, reason_and_evidence, renewed, times
from e2e.matchers import format_number
from e2e.messages import series_of
from e2e.values import Goal
from e2e_api.errors import E2EError, WaitTimeout
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_api.v1 import object_pb2

_SAMPLES = 10
_MOST_WORKLOADS = 10


def explain_metrics(
    error: E2EError,
    expected: str,
    names: Sequence[str],
    workloads: str,
    seconds: float,
    history: Sequence[pb.MetricSample] = (),
    longest_held: float | None = None,
    unit: str = "",
) -> E2EError:
    """The error of a wait for metrics, with all that is known put into its text.

    `history` and `longest_held` are for expectations that the client judged; `unit` is that of a change.
    """
    failure = error.metrics
    if failure is None and history:
        failure = pb.MetricFailure()
    title = f"{', '.join(names)} of {workloads} did not become {expected}: {outcome(error, seconds)}"
    if failure is None:
        return renewed(error, [title, f"  {error.message}"], error.details)
    failure.expected = expected
    if not failure.history:
        failure.history.extend(history)
    if longest_held is not None:
        failure.longest_held.FromNanoseconds(int(longest_held * 1e9))
    lines = [title]
    if _stands_in_the_way(failure.object):
        lines += reason_and_evidence(failure.object, Goal.RUNNING)
    elif not isinstance(error, WaitTimeout) or not failure.history:
        lines.append(f"  {error.message}")
    lines += [f"  {line}" for line in evidence_lines(failure, unit)]
    return renewed(error, lines, [failure])


def explain_absent(error: E2EError) -> E2EError:
    """The error of one look that found a metric absent, with what may have been meant."""
    failure = error.metrics
    if failure is None:
        return error
    return renewed(error, [error.message, *(f"  {line}" for line in evidence_lines(failure))], [failure])


def evidence_lines(failure: pb.MetricFailure, unit: str = "") -> Iterator[str]:
    """What was seen: values, errors, series, and what may have been meant."""
    yield from history_lines(failure.history, unit)
    if failure.HasField("last_error"):
        first = failure.history[0].time if failure.history else failure.last_error.time
        yield f"last failed look: {_after(first, failure.last_error)}  {failure.last_error.error}"
    if failure.HasField("longest_held"):
        held = failure.longest_held.ToNanoseconds() / 1e9
        yield f"it held for {held:.1f} s at most" if held else "it never held for more than one look"
    yield from _matched_lines(failure)
    if failure.similar:
        yield f"names on the page like it: {', '.join(failure.similar)}"
    yield from map(_miss_line, failure.label_misses)
    if failure.scrapes:
        yield f"looked {times(failure.scrapes)}"


def history_lines(history: Sequence[pb.MetricSample], unit: str = "") -> list[str]:
    """Samples that differed, oldest first, one a line."""
    if not history:
        return []
    shown = history[-_SAMPLES:]
    lines = ["last values, oldest first:"]
    for sample in shown:
        values = sample.error or ", ".join(_sum_texts(sample, unit)) or "nothing"
        lines.append(f"  {_after(shown[0].time, sample)}  {values}")
    return lines


def _after(first: Timestamp, sample: pb.MetricSample) -> str:
    seconds = (sample.time.ToMilliseconds() - first.ToMilliseconds()) / 1000
    return f"{seconds:+.1f}s"


def _sum_texts(sample: pb.MetricSample, unit: str) -> Iterator[str]:
    for index, found in enumerate(sample.sums):
        told = (
            [f"changed by {format_number(float(f'{found.change:.6g}'))}{unit}"]
            if found.HasField("change")
            else []
        )
        if sample.workloads:
            told.append(_part_texts(sample.workloads, index))
        yield f"{found.name} = {_value(found)}" + (f" ({'; '.join(told)})" if told else "")


def _part_texts(parts: Sequence[pb.WorkloadSample], index: int) -> str:
    more = f", {len(parts) - _MOST_WORKLOADS} more" if len(parts) > _MOST_WORKLOADS else ""
    return ", ".join(f"{part.workload} {_value(part.sums[index])}" for part in parts[:_MOST_WORKLOADS]) + more


def _value(found: pb.MetricSum) -> str:
    return format_number(found.value) if found.HasField("value") else "absent"


def _matched_lines(failure: pb.MetricFailure) -> Iterator[str]:
    if not failure.matched:
        return
    yield "series that match:"
    for message in failure.matched:
        yield f"  {message.workload}: {series_of(message)}" if message.workload else f"  {series_of(message)}"
    more = failure.matched_count - len(failure.matched)
    if more > 0:
        yield f"  and {more} more"


def _miss_line(miss: pb.LabelMiss) -> str:
    if miss.unknown_label:
        return f"{miss.matcher}: no series of {miss.name} has that label; they have {_listed(miss.there)}"
    there = [f'"{value}"' for value in miss.there]
    return f"{miss.matcher}: no series of {miss.name} has such a value; they have {_listed(there)}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none"


def _stands_in_the_way(found: object_pb2.Object) -> bool:
    """Whether it does not run, or not for long."""
    return bool(found.key.name) and (found.deleting or found.status.container.state != "running")
