"""Certificates for tests: a CA of their own, and what it signs; certificates that nobody signed."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
_PEM = serialization.Encoding.PEM


class SelfSigned(NamedTuple):
    """Both as PEM."""

    certificate: str
    key: str

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """For a server on this machine; the file that it takes is made in the folder."""
        (folder / "server.pem").write_text(self.certificate + self.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        return context


def self_signed(*hosts: str) -> SelfSigned:
    """A certificate for host names and addresses, good for a day, that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_named(hosts[0]), _named(hosts[0]), key, datetime.now(UTC) + _DAY)
    signed = builder.add_extension(_alternatives(*hosts), critical=False).sign(key, hashes.SHA256())
    return SelfSigned(signed.public_bytes(_PEM).decode(), _private_bytes(key).decode())


class Authority:
    """A CA; what it issues is put into its folder, named as `docker` wants it."""

    def __init__(self, folder: Path, name: str = "e2e test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        builder = _builder(self._name, self._name, self._key, datetime.now(UTC) + _DAY)
        authority = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        signed = authority.sign(self._key, hashes.SHA256())
        (folder / "ca.pem").write_bytes(signed.public_bytes(_PEM))

    def issue(self, prefix: str, subject: str, *, until: datetime | None = None) -> None:
        """`<prefix>-cert.pem` and `<prefix>-key.pem`, for a host name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(subject), self._name, key, until or datetime.now(UTC) + _DAY)
        signed = builder.add_extension(_alternatives(subject), critical=False).sign(
            self._key, hashes.SHA256()
        )
        start = f"{prefix}-" if prefix else ""
        (self._folder / f"{start}cert.pem").write_bytes(signed.public_bytes(_PEM))
        (self._folder / f"{start}key.pem").write_bytes(_private_bytes(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 30 * _DAY)
        .not_valid_after(until)
    )


def _named(subject: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])


def _alternatives(*hosts: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative(host) for host in hosts])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
