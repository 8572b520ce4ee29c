"""What a connection that does not get through TLS means, and what helps. Pure."""

import re
import ssl
from collections.abc import Iterable

from docker.errors import TLSParameterError

from e2e_controller.drivers.docker.endpoint import Endpoint

_EXPIRED, _NOT_YET = 10, 9
_UNKNOWN_CA = (2, 18, 19, 20, 21)
_WRONG_NAME = (62, 64)
_REFUSES_OURS = re.compile(
    r"alert (certificate (required|expired|revoked|unknown)|(bad|unsupported) certificate|unknown ca"
    r"|handshake failure)"
    r"|CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA",
    re.IGNORECASE,
)
_NOT_TLS = re.compile(
    r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNKNOWN_PROTOCOL",
    re.IGNORECASE,
)
WANTS_TLS = "Client sent an HTTP request to an HTTPS server"
TURN_IT_ON = "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to a folder with ca.pem, cert.pem and key.pem"


def why_no_tls(chain: Iterable[BaseException], endpoint: Endpoint) -> tuple[str, str] | None:
    """Cause and remedy, where one of the errors is about TLS."""
    for error in chain:
        if isinstance(error, TLSParameterError):
            text = str(error).partition(" TLS configurations")[0]
            return f"cannot be used: its certificates: {text}", f"correct the files in {_folder(endpoint)}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return _not_verified(error, endpoint)
    for error in chain:
        if isinstance(error, ssl.SSLError):
            return _refused(error, endpoint)
    return None


def _not_verified(error: ssl.SSLCertVerificationError, endpoint: Endpoint) -> tuple[str, str]:
    code, said = error.verify_code, error.verify_message
    if code in (_EXPIRED, _NOT_YET):
        when = "has expired" if code == _EXPIRED else "is not valid yet"
        return f"has a certificate that {when}: {said}", "renew it; see whether the clocks agree"
    if code in _WRONG_NAME:
        remedy = f"use a name that is in it in DOCKER_HOST, or make one for {endpoint.host}"
        return f"has a certificate for another host: {said}", remedy
    if code in _UNKNOWN_CA:
        remedy = f"put the CA that signed it as ca.pem into {_folder(endpoint)}"
        return f"has a certificate of a CA that is not trusted: {said}", remedy
    return f"has a certificate that is not accepted: {said}", f"see ca.pem in {_folder(endpoint)}"


def _refused(error: ssl.SSLError, endpoint: Endpoint) -> tuple[str, str]:
    said = str(error)
    if _NOT_TLS.search(said):
        return (
            "does not speak TLS on that port",
            "correct DOCKER_HOST, or unset DOCKER_TLS_VERIFY and DOCKER_TLS",
        )
    if _REFUSES_OURS.search(said):
        remedy = f"put cert.pem and key.pem, signed by the engine's CA, into {_folder(endpoint)}"
        return f"does not accept this client's certificate: {said}", remedy
    return f"does not agree on TLS: {said}", "check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"


def _folder(endpoint: Endpoint) -> str:
    """Where its certificates are looked for, and what chose that."""
    files = endpoint.tls
    found = next((path for path in (files.ca, files.certificate, files.key) if path), "") if files else ""
    folder = found.rpartition("/")[0]
    return (
        f"{folder} (DOCKER_CERT_PATH, or the context)" if folder else "the folder that DOCKER_CERT_PATH names"
    )
