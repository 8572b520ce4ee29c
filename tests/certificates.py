"""Certificates for tests: a CA of their own, and what it signs."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


class Authority:
    """A CA; what it issues is put into its folder, named as `docker` wants it."""

    def __init__(self, folder: Path, name: str = "e2e test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key, datetime.now(UTC) + _DAY)
        authority = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        signed = authority.sign(self._key, hashes.SHA256())
        (folder / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(self, prefix: str, subject: str, *, until: datetime | None = None) -> None:
        """`<prefix>-cert.pem` and `<prefix>-key.pem`, for a host name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = _builder(name, self._name, key, until or datetime.now(UTC) + _DAY)
        signed = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(subject)]), critical=False
        ).sign(self._key, hashes.SHA256())
        start = f"{prefix}-" if prefix else ""
        pem = serialization.Encoding.PEM
        (self._folder / f"{start}cert.pem").write_bytes(signed.public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self._folder / f"{start}key.pem").write_bytes(private)


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


def _alternative(subject: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(subject))
    except ValueError:
        return x509.DNSName(subject)
