"""Why TLS does not come about with a controller: gRPC says little of it, so it is tried once more by hand."""

import socket
import ssl
from typing import TYPE_CHECKING

from e2e.credentials import CA_FILE, CLIENT_CERT, CLIENT_KEY

if TYPE_CHECKING:
    from e2e.addresses import Target

_SECONDS = 5.0
_ANSWER_SECONDS = 2.0
"""How long a server may take to say that it does not like the client's certificate."""
_EXPIRED, _NOT_YET = 10, 9
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_UNKNOWN = (2, 18, 19, 20, 21)
"""OpenSSL's codes of what is wrong with a certificate."""
_NO_TLS = ("VERSION", "PACKET", "RECORD_LAYER_FAILURE")
"""Parts of its reasons, which differ from version to version, where the other side speaks something else."""


def explain(target: "Target") -> str:
    """What is wrong, and what helps; empty where nothing is, or the controller cannot be reached at all."""
    try:
        with socket.create_connection(target.place, _SECONDS) as connection:
            return _with_tls(target, connection) if target.tls else _without(connection)
    except OSError:
        return ""


def _without(connection: socket.socket) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: it is only asked whether there is TLS
    try:
        context.wrap_socket(connection).close()
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return ""
    return f"it speaks TLS: set {CA_FILE} to the certificate of its CA, or name it grpcs://host:port"


def _with_tls(target: "Target", connection: socket.socket) -> str:
    host = target.place[0]
    try:
        context = _context(target)
    except (ssl.SSLError, OSError):
        return f"{CA_FILE}, {CLIENT_CERT} or {CLIENT_KEY} is no file of certificates or of a key in PEM"
    try:
        with context.wrap_socket(connection, server_hostname=host) as secure:
            secure.settimeout(_ANSWER_SECONDS)
            if not secure.recv(1):  # gRPC has something to say at once
                return _client_trouble(target)
    except ssl.SSLCertVerificationError as error:
        return _certificate_trouble(target, error)
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "ALERT" in reason:
            return _client_trouble(target)
        if any(word in reason for word in _NO_TLS):
            return f"it speaks no TLS there: unset {CA_FILE}, or name it grpc://host:port"
        if "EOF" in reason:
            return "it broke the handshake off: it may have too many connections"
        return f"TLS fails: {reason.lower() or error}"
    except ConnectionError:
        return _client_trouble(target)
    except OSError:  # silence: it has no complaint
        return ""
    return ""


def _client_trouble(target: "Target") -> str:
    if target.credentials.client_cert:
        return (
            f"it does not accept the client's certificate: {CLIENT_CERT} is not signed by its --tls-client-ca"
        )
    return f"it asks for a client's certificate: set {CLIENT_CERT} and {CLIENT_KEY}"


def _context(target: "Target") -> ssl.SSLContext:
    found = target.credentials
    context = ssl.create_default_context(cafile=found.ca_file or None)
    context.set_alpn_protocols(["h2"])
    if found.client_cert:
        context.load_cert_chain(found.client_cert, found.client_key)
    return context


def _certificate_trouble(target: "Target", error: ssl.SSLCertVerificationError) -> str:
    host = target.place[0]
    if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return f"its certificate is not for {host}: `e2e certs --host {host}` makes one, or use its names"
    if error.verify_code == _EXPIRED:
        return "its certificate, or its CA's, has expired: `e2e certs` renews its own"
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet: a clock is wrong, here or there"
    if error.verify_code in _UNKNOWN:
        believed = target.credentials.ca_file or "the system's CAs"
        return f"its certificate is not signed by {believed}: set {CA_FILE} to the certificate of its CA"
    return f"its certificate is refused: {error.verify_message}"
