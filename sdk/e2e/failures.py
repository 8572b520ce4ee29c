"""gRPC's errors as ours, with what is known about a controller that does not answer."""

from typing import Any

import grpc

from e2e import handshake
from e2e.addresses import Target
from e2e_api.errors import E2EError, Unavailable, from_rpc_error

_WORDS = {
    "Cancelling all calls": "it is ending",
    "Stream removed": "the connection broke off",
    "Socket closed": "the connection broke off",
    "Connection refused": "connection refused",
    "No such file or directory": "there is no such socket",
}
"""For what gRPC says, by a part of it."""

_PLAIN = ("Cancelling all calls", "Connection refused", "DNS resolution failed")
"""What says enough."""


def _in_our_words(message: str) -> str:
    return next((words for part, words in _WORDS.items() if part in message), message)


def may_be_explained(error: grpc.RpcError, target: Target) -> bool:
    """Whether `typed_error` asks the controller what is wrong, which may take seconds."""
    call: Any = error
    return (
        target.remote
        and call.code() is grpc.StatusCode.UNAVAILABLE
        and not any(part in (call.details() or "") for part in _PLAIN)
    )


def typed_error(error: grpc.RpcError, target: Target) -> E2EError:
    """The error to raise for a failed call to that controller."""
    call: Any = error
    if call.code() is grpc.StatusCode.CANCELLED:
        return cut_off()
    found = from_rpc_error(error)
    if not isinstance(found, Unavailable) or found.reason != grpc.StatusCode.UNAVAILABLE.name:
        return found  # the controller itself said so
    why = handshake.explain(target) if may_be_explained(error, target) else ""
    lines = [f"the controller at {target.address} does not answer: {why or _in_our_words(found.message)}"]
    if target.log is not None:
        from e2e.embedded import last_log_lines

        told = [line for line in last_log_lines(target.log).splitlines() if " INFO " not in line]
        lines.append(f"  its log is {target.log}" + ("; of trouble it says at last:" if told else ""))
        lines += [f"    {line}" for line in told]
    return Unavailable("\n".join(lines), reason=found.reason)


def cut_off() -> Unavailable:
    """The error of a call that was cancelled, and not by its caller."""
    return Unavailable("the controller broke the call off", reason=grpc.StatusCode.CANCELLED.name)
