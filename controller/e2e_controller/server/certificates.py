"""The server's certificate, and those of its clients: for gRPC and for HTTP, renewed without a restart."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import grpc

from e2e_controller.server.renewal import RenewalError, Stamp, read_bounded

_LONGEST = 2**20


class Certificates:
    """What is shown to clients, and what they must show. Raises `RenewalError` for what cannot be used."""

    is_secret = True

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._stamp = Stamp.of(())
        self._context: ssl.SSLContext
        self._configuration: grpc.ServerCertificateConfiguration
        self.not_after = datetime.max.replace(tzinfo=UTC)
        """When the certificate expires."""
        self._generation = 0
        self.read()

    @property
    def files(self) -> Sequence[Path]:
        """The private key."""
        return (self._key,)

    def renew(self) -> bool:
        """Reads the files again where they have changed; whether they had. Raises `RenewalError`."""
        if Stamp.of(self._all) == self._stamp:
            return False
        self.read()
        return True

    def read(self) -> None:
        """Takes in what the files say; what is wrong with them leaves all as it was."""
        stamp = Stamp.of(self._all)
        chain, key = _read(self._certificate), _read(self._key)
        roots = _read(self._client_ca) if self._client_ca is not None else None
        context = self._make_context(roots)
        not_after = _not_after(self._certificate, chain)
        self._configuration = grpc.ssl_server_certificate_configuration([(key, chain)], roots)
        self._context, self._stamp, self.not_after = context, stamp, not_after
        self._generation += 1

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For gRPC, which asks at each handshake."""
        shown = self._generation

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            if shown == self._generation:
                return None
            shown = self._generation
            return self._configuration

        asks = self._client_ca is not None
        # The types of gRPC do not say that there may be nothing new.
        return grpc.dynamic_ssl_server_credentials(self._configuration, cast("Any", fetch), asks)

    def ssl_context(self) -> ssl.SSLContext:
        """For HTTP; a handshake begun later uses what is in force then."""
        front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        front.load_cert_chain(self._certificate, self._key)

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._context

        front.sni_callback = choose  # called at each handshake, also where no name is given
        return front

    @property
    def _all(self) -> list[Path]:
        return [path for path in (self._certificate, self._key, self._client_ca) if path is not None]

    def _make_context(self, roots: bytes | None) -> ssl.SSLContext:
        """As HTTP uses it; makes sure that certificate and key belong together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key, password=_refuse_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise RenewalError(
                f"{self._certificate} and {self._key} are no certificate in PEM with its key: {error}"
            ) from error
        if roots is not None:
            try:
                context.load_verify_locations(cadata=roots.decode("ascii", "replace"))
            except (ssl.SSLError, ValueError) as error:
                raise RenewalError(f"{self._client_ca} has no certificates in PEM: {error}") from error
        return context


def _refuse_password() -> str:
    raise ValueError("the key is encrypted, and nobody is here to say its password")


def _read(path: Path) -> bytes:
    return read_bounded(path, _LONGEST, "file in PEM")


def _not_after(path: Path, chain: bytes) -> datetime:
    """When the certificate expires; raises `RenewalError` where that is over."""
    from cryptography import x509  # here: most controllers have no certificate

    try:
        certificate = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise RenewalError(f"{path} has no certificate in PEM: {error}") from error
    not_after = certificate.not_valid_after_utc
    if not_after < datetime.now(UTC):
        raise RenewalError(
            f"{path} has expired on {not_after:%Y-%m-%d %H:%M} UTC; `e2e certs` renews its own"
        )
    return not_after
