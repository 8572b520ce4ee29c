"""A certificate authority of one's own in a folder, and what it signs: for a controller and its clients.

What is in the folder is kept for as long as it is good; what this has not made is never touched.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e_api.errors import E2EError, InvalidArgument

MAKER = "e2e certs"
"""The organization in all that this makes, which it is known by."""
_CA_TIMES = 12
"""How much longer than the others the CA is valid."""
_RENEW_AT = 1 / 3
"""When so little of its time is left, a certificate is made anew; the CA later, as others have copies."""
_RENEW_CA_AT = 1 / _CA_TIMES
_CLOCK_SKEW = timedelta(minutes=5)
_LONGEST_FILE = 2**20


@dataclass(frozen=True, slots=True)
class Made:
    """One certificate of the folder."""

    path: Path
    not_after: datetime
    kept: bool
    """Whether it was there already, and good."""


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(
    folder: Path, hosts: Sequence[str], *, client: str, days: int, now: datetime | None = None
) -> list[Made]:
    """Makes what is missing, and renews what ends soon: `ca`, `server` and `client`, each .crt and .key.

    Args:
        folder: is made where it is not there, for this user only.
        hosts: names and addresses that the server is reached by.
        client: the client's name.
        days: how long the certificates are valid; the CA is for twelve times as long.
        now: the time; None is the clock's.

    Raises InvalidArgument for what cannot be a host, and E2EError where somebody else's files are in the way.
    """
    moment = now or datetime.now(UTC)
    _make_folder(folder)
    authority, kept = _authority(folder, moment, timedelta(days=days * _CA_TIMES))
    made = [Made(folder / "ca.crt", authority.certificate.not_valid_after_utc, kept)]
    valid = timedelta(days=days)
    names = x509.SubjectAlternativeName([_name(host) for host in dict.fromkeys(hosts)])
    for name, common, extensions in (
        ("server", hosts[0], [names, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]),
        ("client", client, [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]),
    ):
        made.append(_leaf(folder / name, common, extensions, authority, moment, valid))
    return made


def _leaf(
    base: Path,
    common: str,
    extensions: Sequence[x509.ExtensionType],
    authority: _Pair,
    now: datetime,
    valid: timedelta,
) -> Made:
    """The certificate, kept where it is as it would be made now."""
    path = base.with_suffix(".crt")
    found = _load(base)
    if found is not None and _is_good(found.certificate, common, extensions, authority, now):
        return Made(path, found.certificate.not_valid_after_utc, kept=True)
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.BasicConstraints(ca=False, path_length=None)
    not_after = min(now + valid, authority.certificate.not_valid_after_utc)
    builder = _builder(common, key, now, not_after).issuer_name(authority.certificate.subject)
    builder = builder.add_extension(usage, critical=True).add_extension(
        _key_usage(signs=False), critical=True
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    for extension in (*extensions, issuer):
        builder = builder.add_extension(extension, critical=False)
    _save(base, _Pair(builder.sign(authority.key, hashes.SHA256()), key))
    return Made(path, not_after, kept=False)


def _authority(folder: Path, now: datetime, valid: timedelta) -> tuple[_Pair, bool]:
    found = _load(folder / "ca")
    if found is not None and _time_is_left(found.certificate, now, _RENEW_CA_AT):
        return found, True
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(f"{MAKER} CA", key, now, now + valid)
    certificate = (
        builder.issuer_name(_subject(f"{MAKER} CA"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    pair = _Pair(certificate, key)
    _save(folder / "ca", pair)
    return pair, False


def _builder(
    common: str, key: ec.EllipticCurvePrivateKey, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(common))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, MAKER),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    labels = host.removeprefix("*.").split(".")
    if not all(
        label and label.replace("-", "").replace("_", "").isalnum() and label.isascii() for label in labels
    ):
        raise InvalidArgument(f"{host!r} is no name or address of a host")
    return x509.DNSName(host)


def _time_is_left(certificate: x509.Certificate, now: datetime, share: float) -> bool:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start <= now and end - now > (end - start) * share


def _is_good(
    certificate: x509.Certificate,
    common: str,
    extensions: Sequence[x509.ExtensionType],
    authority: _Pair,
    now: datetime,
) -> bool:
    if certificate.subject != _subject(common) or not _time_is_left(certificate, now, _RENEW_AT):
        return False
    for wanted in extensions:
        try:
            if certificate.extensions.get_extension_for_class(type(wanted)).value != wanted:
                return False
        except x509.ExtensionNotFound:
            return False
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise E2EError(f"cannot make {folder}: {error.strerror}", reason="Certificates") from error


def _load(base: Path) -> _Pair | None:
    """What is there, None where nothing is. Raises E2EError where it is not of our making."""
    certificate_path, key_path = base.with_suffix(".crt"), base.with_suffix(".key")
    there = [path for path in (certificate_path, key_path) if path.exists() or path.is_symlink()]
    if not there:
        return None
    if len(there) == 1:
        other = key_path if there[0] == certificate_path else certificate_path
        raise _not_ours(there[0], f"{other.name} is not beside it")
    try:
        certificate = x509.load_pem_x509_certificate(_read(certificate_path))
        key = serialization.load_pem_private_key(_read(key_path), None)
    except (OSError, ValueError, TypeError) as error:
        raise _not_ours(certificate_path, str(error)) from error
    makers = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if [maker.value for maker in makers] != [MAKER] or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _not_ours(certificate_path, "somebody else has made it")
    if certificate.public_key() != key.public_key():
        raise _not_ours(key_path, f"it is not the key of {certificate_path.name}")
    return _Pair(certificate, key)


def _not_ours(path: Path, why: str) -> E2EError:
    return E2EError(
        f"{path} is in the way, and stays as it is: {why}; move it away, or give another folder",
        reason="Certificates",
    )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST_FILE)


def _save(base: Path, pair: _Pair) -> None:
    """The key first, each by a rename: who reads both meanwhile sees that they do not match."""
    key = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(base.with_suffix(".key"), key)
    write_private(
        base.with_suffix(".crt"), pair.certificate.public_bytes(serialization.Encoding.PEM), mode=0o644
    )


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes a file by a rename, which only this user can read from its first byte on. Raises E2EError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise E2EError(f"cannot write {path}: {error.strerror}", reason="Certificates") from error
