"""The evidence of failed waits, as far as it fits into a call's trailers. Pure.

The streams send objects whole; here each message is told once, and what says least goes first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from e2e_api.conditions import ConditionType
from e2e_api.errors import EVIDENCE_BYTES
from e2e_api.looks import thin
from e2e_api.v1 import metric_service_pb2, object_pb2, wait_service_pb2
from e2e_controller.drivers.base import Key
from e2e_controller.metrics import History, LabelMiss, Sample
from e2e_controller.metrics.messages import miss_to_proto, sample_to_proto
from e2e_controller.objects import Object
from e2e_controller.server.convert import key_to_proto, object_to_proto

T = TypeVar("T")

_MOST_OBJECTS = 3
_TEXT_LENGTHS = (600, 300, 100, 30)
"""Letters of each text; the first that make it fit."""
_LOG_LINES, _LINE_LENGTH = 10, 200
_SIMILAR_BYTES, _MATCHED_BYTES, _HISTORY_BYTES = 300, 400, 1_100
_ERROR_LENGTH = 300
_FIELD_BYTES = 4
"""What each element of a list may cost besides its content."""
_TOLD_ONCE = (
    ConditionType.FAILED,
    ConditionType.ACCEPTED,
    ConditionType.IMAGE_READY,
    ConditionType.RUNNING,
    ConditionType.READY,
)
"""Of several conditions with one message, the first has it."""


def wait_failure(objects: Mapping[Key, Object | None]) -> wait_service_pb2.WaitFailure:
    """What stands in the way, or was not as asked in time."""
    failure = wait_service_pb2.WaitFailure()
    shown = list(objects.items())[:_MOST_OBJECTS]
    for key, object_ in shown:
        if object_ is None:
            failure.failed.add().key.CopyFrom(key_to_proto(key))
        else:
            failure.failed.append(_summary(object_, EVIDENCE_BYTES // len(shown) - _FIELD_BYTES))
    return failure


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found on the metrics pages when a wait had failed."""

    similar: tuple[str, ...] = ()
    label_misses: tuple[LabelMiss, ...] = ()
    matched: tuple[metric_service_pb2.Series, ...] = ()
    """The first series that matched."""
    matched_count: int = 0
    """How many did."""
    longest_held: float | None = None


def metric_failure(
    expected: str, history: History, seen: Seen, object_: Object | None
) -> metric_service_pb2.MetricFailure:
    """What was seen of the metrics, newest last, and the workload's state."""
    failure = metric_service_pb2.MetricFailure(expected=expected[:_ERROR_LENGTH], scrapes=history.scrapes)
    failure.history.extend(_shown(history))
    if history.last_error is not None and history.last_error.error not in (s.error for s in failure.history):
        failure.last_error.CopyFrom(_without_values(history.last_error))
    if seen.longest_held is not None:
        failure.longest_held.FromNanoseconds(int(seen.longest_held * 1e9))
    failure.similar.extend(_fitting(seen.similar, _SIMILAR_BYTES, lambda name: len(name.encode())))
    misses = map(miss_to_proto, seen.label_misses)
    failure.label_misses.extend(_fitting(misses, _SIMILAR_BYTES, lambda miss: miss.ByteSize()))
    failure.matched_count = seen.matched_count
    matched = _fitting(seen.matched, _MATCHED_BYTES, lambda series: series.ByteSize())
    failure.matched.extend(matched)
    if object_ is not None:
        room = EVIDENCE_BYTES - failure.ByteSize() - _FIELD_BYTES
        failure.object.CopyFrom(_summary(object_, room))
    return failure


def _shown(history: History) -> Sequence[metric_service_pb2.MetricSample]:
    """The samples that fit, oldest first; of the first and the last, as many sums as fit.

    The last may be a failed look, of the moment in which the workload ended: it alone would tell no value.
    """
    shown = [_bounded(sample) for sample in history.samples]

    def is_too_much() -> bool:
        return sum(sample.ByteSize() + _FIELD_BYTES for sample in shown) > _HISTORY_BYTES

    while len(shown) > 2 and is_too_much():
        thin(shown, lambda sample: sample.time.ToMilliseconds())
    while is_too_much() and (largest := max(shown, key=lambda sample: len(sample.sums))).sums:
        del largest.sums[len(largest.sums) // 2 :]
    while len(shown) > 1 and is_too_much():
        del shown[0]
    return shown


def _bounded(sample: Sample) -> metric_service_pb2.MetricSample:
    """With as much of what each workload adds as is worth its room."""
    message = sample_to_proto(sample)
    message.error = message.error[:_ERROR_LENGTH]
    for part in message.workloads:
        part.error = ""  # they stand together in the sample's own
    if message.ByteSize() > _HISTORY_BYTES // 2:
        del message.workloads[:]
    return message


def _without_values(sample: Sample) -> metric_service_pb2.MetricSample:
    message = _bounded(sample)
    del message.workloads[:]
    return message


def _fitting(items: Iterable[T], room: int, size: Callable[[T], int]) -> Iterator[T]:
    """The first that fit."""
    for item in items:
        room -= size(item) + _FIELD_BYTES
        if room < 0:
            return
        yield item


def _summary(object_: Object, room: int) -> object_pb2.Object:
    """The object without what a person can look up later, in so many bytes."""
    for length in _TEXT_LENGTHS:
        message = _shortened(object_, length)
        lines = list(message.status.container.last_log_lines)
        if lines:
            del message.status.container.last_log_lines[:]
        if message.ByteSize() <= room:
            _add_lines(message, lines, room)
            return message
    return object_pb2.Object(key=key_to_proto(object_.key), version=object_.version)


def _shortened(object_: Object, length: int) -> object_pb2.Object:
    message = object_to_proto(object_)
    status = message.status
    message.document = status.directory = status.spec_hash = ""
    message.labels.clear()
    del status.endpoints[:], status.phases[:]
    status.ClearField("previous_container")
    message.source = message.source[-length:]
    told: set[str] = set()
    by_type = {condition.type: condition for condition in status.conditions}
    for type_ in (*_TOLD_ONCE, *by_type):
        if (condition := by_type.pop(type_, None)) is not None:
            condition.message = _once(condition.message[:length], told)
    status.progress = _once(status.progress[:length], told)
    if status.HasField("last_probe"):
        status.last_probe.request = status.last_probe.request[: length // 2]
        status.last_probe.answer = status.last_probe.answer[: length // 2]
    if status.HasField("container"):
        status.container.image = status.container.image[:length]
    return message


def _once(text: str, told: set[str]) -> str:
    if text in told:
        return ""
    told.add(text)
    return text


def _add_lines(message: object_pb2.Object, lines: Sequence[str], room: int) -> None:
    """The last lines that fit."""
    fitting: list[str] = []
    room -= message.ByteSize() + 2 * _FIELD_BYTES
    for line in reversed(lines[-_LOG_LINES:]):
        room -= len(line[:_LINE_LENGTH].encode()) + _FIELD_BYTES
        if room < 0:
            break
        fitting.insert(0, line[:_LINE_LENGTH])
    if fitting:
        message.status.container.last_log_lines.extend(fitting)
