"""gRPC's errors as ours, with what is known about a controller that does not answer."""

from typing import Any

import grpc

from e2e.addresses import Target
from e2e_api.errors import E2EError, Unavailable, from_rpc_error


def typed_error(error: grpc.RpcError, target: Target) -> E2EError:
    """The error to raise for a failed call to that controller."""
    call: Any = error
    if call.code() is grpc.StatusCode.CANCELLED:
        return cut_off()
    found = from_rpc_error(error)
    if not isinstance(found, Unavailable) or found.reason != grpc.StatusCode.UNAVAILABLE.name:
        return found  # the controller itself said so
    lines = [f"the controller at {target.address} does not answer: {found.message}"]
    if target.log is not None:
        from e2e.embedded import last_log_lines

        lines += [f"its log, {target.log}, ends with:", last_log_lines(target.log)]
    return Unavailable("\n".join(lines), reason=found.reason)


def cut_off() -> Unavailable:
    """The error of a call that was cancelled, and not by its caller."""
    return Unavailable("the controller broke the call off", reason=grpc.StatusCode.CANCELLED.name)
