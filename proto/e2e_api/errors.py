"""The error tree, and its mapping to and from gRPC status; each direction once.

Classes tell a caller what can be done: mend the manifest, wait longer, mend the machine. `reason` is one
CamelCase word for machines; `details` are protobuf messages with the evidence; `action` says in one word what
helps, from the reason where that is known.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, get_args

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from e2e_api.conditions import Action, action_for
from e2e_api.v1 import metric_service_pb2, object_pb2, wait_service_pb2

DOMAIN = "e2e/v1"
RATE_LIMITED = "RateLimited"
"""The reason of a call that came too soon after others; `RetryInfo` says when to try again."""
DEADLINE_MARGIN = 5.0
"""Seconds between a wait's end and its call's deadline, as the SDK asks for: however busy the machine is, the
evidence still arrives."""

_RETRY = frozenset({"Held", "ScrapeFailed", "EngineUnavailable", "Timeout", RATE_LIMITED})
"""Reasons that may be gone at the next attempt, whichever the class."""

EVIDENCE_BYTES = 3_300
"""Most bytes of an error's evidence. Clients of gRPC take 8 KiB of trailers, unless told otherwise."""
_TRAILER_BYTES = 7_500
"""Of the 8 KiB; the rest is for what gRPC adds."""
_ELLIPSIS_BYTES = 14

_EVIDENCE: tuple[type[Message], ...] = (wait_service_pb2.WaitFailure, metric_service_pb2.MetricFailure)


class E2EError(Exception):
    """Base of all errors of e2e; raised itself for faults of the controller."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    _action: ClassVar[Action | None] = None
    """What helps where the reason does not say; None: the evidence has to."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        violations: Sequence[tuple[str, str]] = (),
        details: Sequence[Message] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).__name__
        self.violations = tuple(violations)
        """(field, what is wrong with it) for each field of an invalid request or manifest."""
        self.details = tuple(details)
        """The evidence: `WaitFailure` or `MetricFailure`; one of more than `EVIDENCE_BYTES` is not sent."""

    @property
    def failed(self) -> tuple[object_pb2.Object, ...]:
        """The objects that stand in the way, with all that is known of them, where the error is a wait's."""
        return tuple(_failed_objects(self.details))

    @property
    def metrics(self) -> metric_service_pb2.MetricFailure | None:
        """What was seen of the metrics, where the error is that of a wait for them."""
        return next((d for d in self.details if isinstance(d, metric_service_pb2.MetricFailure)), None)

    @property
    def action(self) -> Action:
        """What helps: `retry`, `fix-manifest` (or the call), `fix-machine`, or `see-evidence` first."""
        if self.reason in _RETRY:
            return "retry"
        if self._action is not None:
            return self._action
        told = [found.status.action for found in self.failed]
        known = [action for action in get_args(Action) if action in told]
        return known[0] if len(known) == 1 else action_for(self.reason)


class InvalidArgument(E2EError):  # noqa: N818 - named as gRPC's code is
    """The request or a manifest in it is wrong: mend it."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    _action = "fix-manifest"


class NotFound(E2EError):  # noqa: N818
    """There is no such object."""

    code = grpc.StatusCode.NOT_FOUND
    _action = "fix-manifest"


class Conflict(E2EError):  # noqa: N818
    """Somebody else owns that: a file of the user's, another lease."""

    code = grpc.StatusCode.ALREADY_EXISTS
    _action = "fix-manifest"


class NotRunning(E2EError):  # noqa: N818
    """The workload does not run, and what was asked needs it to."""

    code = grpc.StatusCode.ABORTED


class NotWritable(E2EError):  # noqa: N818
    """What was to be written would have to be where the container may only read."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    _action = "fix-manifest"


class WaitFailed(E2EError):  # noqa: N818
    """What was waited for can no longer come true."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class WaitTimeout(E2EError, TimeoutError):  # noqa: N818
    """What was waited for did not come true in time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    _action = "retry"


class Unauthenticated(E2EError):  # noqa: N818
    """The controller does not know the caller: the token is missing, or is none of its tokens."""

    code = grpc.StatusCode.UNAUTHENTICATED
    _action = "fix-machine"


class PermissionDenied(E2EError):  # noqa: N818
    """The caller's token does not reach so far: another environment, or a change with one that only reads."""

    code = grpc.StatusCode.PERMISSION_DENIED
    _action: ClassVar[Action | None] = "fix-machine"


class PolicyDenied(PermissionDenied):
    """The controller's policy does not allow what the manifest asks for: mend it, or the policy.

    `violations` has the rule's name, and why, for each thing that is denied.
    """

    _action = "fix-manifest"


class Unavailable(E2EError):  # noqa: N818
    """The controller or the engine does not answer: mend the machine, or try again."""

    code = grpc.StatusCode.UNAVAILABLE
    _action = "retry"


class LimitExceeded(E2EError):  # noqa: N818
    """A bound of size or number was reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    _action = "fix-manifest"


def _failed_objects(details: Sequence[Message]) -> Iterator[object_pb2.Object]:
    for detail in details:
        if isinstance(detail, wait_service_pb2.WaitFailure):
            yield from detail.failed
        elif isinstance(detail, metric_service_pb2.MetricFailure) and detail.HasField("object"):
            yield detail.object


_CLASSES: dict[int, type[E2EError]] = {
    cls.code.value[0]: cls
    for cls in (
        InvalidArgument,
        NotFound,
        Conflict,
        NotRunning,
        WaitFailed,
        WaitTimeout,
        Unauthenticated,
        PermissionDenied,
        Unavailable,
        LimitExceeded,
    )
}
_BY_REASON: dict[str, type[E2EError]] = {"PolicyDenied": PolicyDenied, "NotWritable": NotWritable}
"""Where the status alone does not tell."""


def to_status(error: E2EError) -> Any:
    """The error as a gRPC status with `google.rpc` details, for `context.abort_with_status`.

    It fits into the trailers that every client takes: of too many violations the last ones are left out, of a
    too long message the end.
    """
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    details: list[Message] = [
        info,
        *(detail for detail in error.details if detail.ByteSize() <= EVIDENCE_BYTES),
    ]
    room = _TRAILER_BYTES - sum(map(_encoded_size, details))
    if error.violations:
        details.insert(1, _bad_request(error.violations, room // 3))
        room -= _encoded_size(details[1])
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    message = _shortened(error.message, room)
    return rpc_status.to_status(status_pb2.Status(code=error.code.value[0], message=message, details=packed))


def _bad_request(violations: Sequence[tuple[str, str]], room: int) -> error_details_pb2.BadRequest:
    """As many of the violations as fit, their texts shortened."""
    request = error_details_pb2.BadRequest()
    for field, text in violations:
        request.field_violations.add(field=field[:100], description=text[:300])
        if _encoded_size(request) > room:
            del request.field_violations[-1]
            break
    return request


def _encoded_size(detail: Message) -> int:
    """Bytes in the trailers: packed with its type's name, and in base64."""
    return (detail.ByteSize() + 64) * 4 // 3 + 4


def _shortened(text: str, room: int) -> str:
    """The text as far as it fits, where each letter stands twice: percent-encoded, and in base64."""
    thirds = 3 * (room - _ELLIPSIS_BYTES)
    for index, letter in enumerate(text):
        size = len(letter.encode("utf-8", "replace"))
        plain = size == 1 and " " <= letter <= "~" and letter != "%"
        thirds -= 4 * size + 3 * (1 if plain else 3 * size)
        if thirds < 0:
            return text[:index] + "…"
    return text


def from_rpc_error(error: grpc.RpcError) -> E2EError:
    """The typed error that `to_status` was given, or the nearest one for a plain gRPC error."""
    call: Any = error
    status = rpc_status.from_call(call) if call.trailing_metadata() is not None else None
    if status is None:
        code: grpc.StatusCode = call.code()
        cls = _CLASSES.get(code.value[0], E2EError)
        reason = "Timeout" if cls is WaitTimeout else code.name
        return cls(call.details() or code.name, reason=reason)
    reason, violations, details = "", [], []
    for packed in status.details:
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            packed.Unpack(info)
            reason = info.reason
        elif packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest()
            packed.Unpack(request)
            violations = [(field.field, field.description) for field in request.field_violations]
        for evidence in _EVIDENCE:
            if packed.Is(evidence.DESCRIPTOR):
                details.append(evidence())
                packed.Unpack(details[-1])
    cls = _BY_REASON.get(reason, E2EError)
    if cls.code.value[0] != status.code:  # a wait fails with the same reason
        cls = _CLASSES.get(status.code, E2EError)
    fallback = code_pb2.Code.Name(status.code)
    return cls(status.message or fallback, reason=reason, violations=violations, details=details)
