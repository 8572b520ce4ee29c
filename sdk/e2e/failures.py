"""gRPC's errors as ours, with what is known about a controller that does not answer."""

import grpc

from e2e.addresses import Target
from e2e_api.errors import E2EError, Unavailable, from_rpc_error

REOPEN_SECONDS = 0.2
"""Between tries to claim an environment again."""
LOST = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)
"""How a call ends whose controller went away."""


def typed_error(error: grpc.RpcError, target: Target) -> E2EError:
    """The error to raise for a failed call to that controller."""
    found = from_rpc_error(error)
    if not isinstance(found, Unavailable) or found.reason != grpc.StatusCode.UNAVAILABLE.name:
        return found  # the controller itself said so
    lines = [f"the controller at {target.address} does not answer: {found.message}"]
    if target.log is not None:
        from e2e.embedded import last_log_lines

        lines += [f"its log, {target.log}, ends with:", last_log_lines(target.log)]
    return Unavailable("\n".join(lines), reason=found.reason)
