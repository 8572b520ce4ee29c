"""Where the controller is, and how its channel is set up."""

import os
from dataclasses import dataclass
from pathlib import Path

from e2e_api.errors import InvalidArgument

VARIABLE = "E2E_CONTROLLER"
_MESSAGE_BYTES = 64 * 2**20
_METADATA_BYTES = 64 * 2**10

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_metadata_size", _METADATA_BYTES),  # a failed wait's evidence travels in the trailers
    ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
    ("grpc.enable_http_proxy", 0),
    # A channel of its own does not inherit the back-off of one whose controller was gone.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A controller: gRPC's name for its address, and the log to quote when it is gone."""

    address: str
    log: Path | None = None

    @property
    def embedded(self) -> bool:
        """Whether the SDK started it, and may start it again."""
        return self.log is not None


def parse(controller: str) -> Target:
    """Reads `unix:///path/to.sock` or `host:port`. Raises InvalidArgument for anything else."""
    if controller.startswith("unix:"):
        path = controller.removeprefix("unix:").removeprefix("//")
        if path.startswith("/") and len(path) > 1:
            return Target(f"unix:{path}")
    else:
        host, _, port = controller.rpartition(":")
        if host and "/" not in host and port.isdecimal() and 0 < int(port) < 65536:
            return Target(f"dns:{controller}")
    raise InvalidArgument(
        f"{controller!r} is not a controller's address: expected unix:///path/to.sock or host:port"
    )


def revive(target: Target) -> None:
    """Starts the controller if it is the embedded one and does not serve; others are left alone.

    Blocks, as `resolve` does. Raises Unavailable.
    """
    if target.log is not None:
        from e2e import embedded

        embedded.ensure(embedded.Place.of(target))


def resolve(controller: str | None) -> Target:
    """The named controller, else the one of `E2E_CONTROLLER`, else the embedded one, started if need be.

    Blocks for as long as the embedded controller needs to start. Raises InvalidArgument and Unavailable.
    """
    named = controller or os.environ.get(VARIABLE, "")
    if named:
        return parse(named)
    from e2e import embedded

    return embedded.ensure()
