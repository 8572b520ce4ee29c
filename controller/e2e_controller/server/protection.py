"""What stands between the controller and whoever reaches it over TCP."""

import logging
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2e_controller.exposure import is_loopback
from e2e_controller.instruments import Instruments
from e2e_controller.server.certificates import Certificates
from e2e_controller.server.guard import Guard
from e2e_controller.server.limits import Limits
from e2e_controller.server.renewal import Renewal
from e2e_controller.settings import Settings

if TYPE_CHECKING:
    from e2e_controller.server.tokens import Tokens

log = logging.getLogger(__name__)

_OWN_FILES = 1_000
"""For what the controller has open itself."""


@dataclass(frozen=True, slots=True)
class Protection:
    """Certificates, tokens and limits, for gRPC and for HTTP."""

    guard: Guard
    renewal: Renewal
    tokens: "Tokens | None" = None
    certificates: Certificates | None = None
    max_connections: int = 500
    max_streams: int = 1_000
    """Of one connection."""
    stall_timeout: float = 120.0
    """Seconds in which a client must take what it is sent."""


def protect(settings: Settings, instruments: Instruments) -> Protection:
    """What the settings ask for. Raises `RenewalError` where their files cannot be used."""
    tokens = _tokens(settings)
    certificates = _certificates(settings)
    limits = Limits(settings.call_rate, settings.calls_per_client)
    guard = Guard(tokens, limits, instruments.refused, settings.stall_timeout)

    def renewed() -> None:
        guard.revoke()
        if certificates is not None:
            instruments.certificate_expires(certificates.not_after.timestamp())

    renewed()
    if settings.tcp_addresses:
        _make_room(settings)
    parts = [part for part in (tokens, certificates) if part is not None]
    _warn(settings)
    return Protection(
        guard,
        Renewal(parts, renewed, instruments.renewed),
        tokens,
        certificates,
        settings.max_connections,
        settings.calls_per_client + 100,  # so that one call too many is refused, instead of waiting for ever
        settings.stall_timeout,
    )


def _tokens(settings: Settings) -> "Tokens | None":
    if not (settings.has_tokens and settings.tcp_addresses):  # the variable may be meant for clients
        return None
    from e2e_controller.server.tokens import Tokens  # here: most controllers ask for none

    return Tokens(text=settings.token.get_secret_value(), file=settings.token_file, table=settings.tokens)


def _certificates(settings: Settings) -> Certificates | None:
    if settings.tls_cert is None or settings.tls_key is None or not settings.tcp_addresses:
        return None
    return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def _make_room(settings: Settings) -> None:
    """Clients may open connections, and still leave files for the controller's own work."""
    needed = settings.max_connections * len(settings.tcp_addresses) + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < needed:
        log.warning(
            "clients may open more connections than this process may open files, %d: raise that limit, "
            "or give a lower --max-connections than %d",
            hard,
            settings.max_connections,
        )


def _warn(settings: Settings) -> None:
    exposed = [address for address in settings.tcp_addresses if not is_loopback(address)]
    missing = [
        what
        for what, there in (("TLS", settings.tls_cert is not None), ("a token", settings.has_tokens))
        if not there
    ]
    if exposed and missing:
        log.warning(
            "--insecure: %s can be reached from other machines without %s: whoever is on the network may "
            "use the engine, or listen in",
            ", ".join(exposed),
            " and without ".join(missing),
        )
