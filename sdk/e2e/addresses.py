"""Where the controller is, and how its channel is set up."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.credentials import TOKEN, TOKEN_FILE, Credentials
from e2e_api.addresses import is_loopback
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
_NOTHING = Credentials()
_RETRIES = {
    # Of the calls that exceed a limit, the controller says which may be tried again, and when.
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
            },
        }
    ]
}


@dataclass(frozen=True, slots=True)
class Controller:
    """A controller, and what to show it; what is left out, the variable beside it says.

        controller = e2e.Controller("ci.example:9443", ca_file="ca.crt", token_file="token")
        with e2e.Environment("thanos", controller=controller) as env: ...

    On a Unix socket, neither TLS nor a token is needed, and none is used.
    """

    address: str = ""
    """`E2E_CONTROLLER`: unix:///path, host:port, or grpcs://host:port for TLS."""
    token: str = field(default="", repr=False)
    """`E2E_TOKEN`."""
    token_file: str | Path = ""
    """`E2E_TOKEN_FILE`; read at each call."""
    ca_file: str | Path = ""
    """`E2E_CA_FILE`: who signed the controller's certificate, in PEM; with it, TLS is used."""
    client_cert: str | Path = ""
    """`E2E_CLIENT_CERT`, for a controller that asks for one; in PEM."""
    client_key: str | Path = ""
    """`E2E_CLIENT_KEY`: its private key."""

    @property
    def credentials(self) -> Credentials:
        """What was given. Raises InvalidArgument for what does not go together."""
        return Credentials(
            self.token, *map(str, (self.token_file, self.ca_file, self.client_cert, self.client_key))
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A controller: gRPC's name for its address, and the log to quote when it is gone."""

    address: str
    log: Path | None = None
    tls: bool = False
    credentials: Credentials = _NOTHING

    @property
    def embedded(self) -> bool:
        """Whether the SDK started it, and may start it again."""
        return self.log is not None

    @property
    def remote(self) -> bool:
        """Whether it is reached over TCP."""
        return not self.address.startswith("unix:")

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of one that is reached over TCP."""
        host, _, port = self.address.removeprefix("dns:").rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def options(self) -> Sequence[tuple[str, str | int]]:
        """Those of its channel."""
        if not self.remote:
            return CHANNEL_OPTIONS
        return (*CHANNEL_OPTIONS, ("grpc.service_config", json.dumps(_RETRIES)))


def parse(controller: str, credentials: Credentials = _NOTHING) -> Target:
    """Reads `unix:///path/to.sock`, `host:port`, `grpcs://host:port` (TLS) or `grpc://host:port` (none).

    Raises InvalidArgument for anything else, and where a token would be sent in the clear.
    """
    if controller.startswith("unix:"):
        path = controller.removeprefix("unix:").removeprefix("//")
        if path.startswith("/") and len(path) > 1:
            return Target(f"unix:{path}")
    scheme, separator, address = controller.rpartition("://")
    host, _, port = address.rpartition(":")
    plain = host and not set("/@") & set(host) and port.isdecimal() and 0 < int(port) < 65536
    if not plain or controller.startswith("unix:") or (separator and scheme not in ("grpc", "grpcs")):
        shown = re.sub(r"^(\w+://)?.*@", r"\1...@", controller)  # a token that somebody put there is not told
        raise InvalidArgument(
            f"{shown!r} is not a controller's address: expected unix:///path/to.sock, host:port or "
            "grpcs://host:port"
        )
    tls = scheme == "grpcs" or (not separator and credentials.has_tls)
    if credentials.has_token and not tls and not is_loopback(host):
        raise InvalidArgument(
            f"the token is not sent to {controller} without TLS, where others could read it: set E2E_CA_FILE "
            f"or name it grpcs://{address}, or unset {TOKEN} and {TOKEN_FILE}"
        )
    return Target(f"dns:{address}", tls=tls, credentials=credentials)


def revive(target: Target) -> None:
    """Starts the controller if it is the embedded one and does not serve; others are left alone.

    Blocks, as `resolve` does. Raises Unavailable.
    """
    if target.log is not None:
        from e2e import embedded

        embedded.ensure(embedded.Place.of(target))


def resolve(controller: str | Controller | None) -> Target:
    """The named controller, else the one of `E2E_CONTROLLER`, else the embedded one, started if need be.

    Blocks for as long as the embedded controller needs to start. Raises InvalidArgument and Unavailable.
    """
    given = controller if isinstance(controller, Controller) else Controller(controller or "")
    named = given.address or os.environ.get(VARIABLE, "")
    if named:
        return parse(named, given.credentials.or_from(os.environ))
    from e2e import embedded

    return embedded.ensure()
