"""Find the container engine as the docker CLI does, and ask whether it answers: standard library only.

The controller's driver finds it by the same rule; one table of tests holds for both.
"""

import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"
DEFAULT_TLS_HOST = "tcp://localhost:2376"


@dataclass(frozen=True)
class Tls:
    """The folder where certificates towards the engine may be, and whether its own are verified."""

    folder: Path
    verify: bool

    def file(self, name: str) -> str:
        """Path of a file in the folder; "" where it is not there."""
        path = self.folder / name
        return str(path) if path.is_file() else ""

    @property
    def client_files(self) -> tuple[str, str] | None:
        """The client's certificate and its key, if both are there."""
        certificate, key = self.file("cert.pem"), self.file("key.pem")
        return (certificate, key) if certificate and key else None


@dataclass(frozen=True)
class Endpoint:
    """An engine's address, where it was named, and its TLS if it has some."""

    host: str
    origin: str
    tls: Tls | None = None

    @property
    def is_default(self) -> bool:
        """Whether nobody named an engine, so that one may be started here."""
        return self.host == DEFAULT_HOST


class EndpointError(Exception):
    """The engine does not answer; the message says what was tried and what came back."""


def find_endpoint() -> Endpoint:
    """Return the engine that the docker CLI would use: DOCKER_HOST, DOCKER_CONTEXT, context, default.

    Raises EndpointError where what is named cannot be used.
    """
    tls = _tls_from_environment()
    if host := os.environ.get("DOCKER_HOST"):
        return _checked(host, "DOCKER_HOST", tls)
    context, origin = os.environ.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not context:
        context, origin = _configured_context(), "the docker configuration's current context"
    if context and context != "default":
        return _from_context(context, origin)
    if tls:
        return Endpoint(DEFAULT_TLS_HOST, "the default where DOCKER_TLS or DOCKER_TLS_VERIFY is set", tls)
    return Endpoint(DEFAULT_HOST, "the default socket")


def ping(endpoint: Endpoint, timeout: float) -> None:
    """Return if the engine answers within `timeout` seconds; raise EndpointError with the cause if not."""
    try:
        _ping(endpoint, timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EndpointError(
            f"{endpoint.host} ({endpoint.origin}): {str(error) or type(error).__name__}"
        ) from error


def _ping(endpoint: Endpoint, timeout: float) -> None:
    if endpoint.host.startswith("ssh://"):
        _ask_by_ssh(endpoint, timeout)
        return
    connection = _connection(endpoint, timeout)
    try:
        connection.request("GET", "/_ping")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != http.client.OK:
        raise OSError(f"it answered HTTP {status}")


def _ask_by_ssh(endpoint: Endpoint, timeout: float) -> None:
    """The docker CLI has its own way through ssh."""
    command = ["docker", "--host", endpoint.host, "version", "--format", "{{.Server.Version}}"]
    try:
        finished = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"it did not answer within {timeout:g} s") from error
    if finished.returncode:
        raise OSError(finished.stderr.strip() or f"docker ended with {finished.returncode}")


def _connection(endpoint: Endpoint, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(endpoint.host)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout)
    assert parts.hostname  # it was checked when it was found
    if endpoint.tls is None and parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)
    context = _tls_context(endpoint.tls)
    return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout, context=context)


def _tls_context(tls: Tls | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.file("ca.pem") or None if tls else None)
    if tls is not None and tls.client_files:
        context.load_cert_chain(*tls.client_files)
    if tls is not None and not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _configuration_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _tls_from_environment() -> Tls | None:
    """DOCKER_TLS_VERIFY and DOCKER_TLS turn TLS on; DOCKER_CERT_PATH only says where its files are."""
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not os.environ.get("DOCKER_TLS"):
        return None
    return Tls(Path(os.environ.get("DOCKER_CERT_PATH") or _configuration_folder()), verify)


def _configured_context() -> str:
    try:
        configuration = json.loads((_configuration_folder() / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    name = configuration.get("currentContext") if isinstance(configuration, dict) else None
    return name if isinstance(name, str) else ""


def _from_context(name: str, origin: str) -> Endpoint:
    origin = f"{origin}, the context {name!r}"
    folder = _configuration_folder() / "contexts"
    digest = hashlib.sha256(name.encode()).hexdigest()
    try:
        engine = json.loads((folder / "meta" / digest / "meta.json").read_text())["Endpoints"]["docker"]
        host, verify = str(engine["Host"]), not engine.get("SkipTLSVerify", False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EndpointError(f"{origin} cannot be read: {error}") from error
    certificates = folder / "tls" / digest / "docker"
    return _checked(host, origin, Tls(certificates, verify) if certificates.is_dir() or not verify else None)


def _checked(host: str, origin: str, tls: Tls | None) -> Endpoint:
    """Normalises an address, or says why it cannot be one."""
    host = host.strip()
    if host.startswith("unix://"):
        host = f"unix:///{host.removeprefix('unix://').lstrip('/') or DEFAULT_HOST.removeprefix('unix:///')}"
    elif host.startswith("/"):
        host = f"unix://{host}"
    elif "://" not in host:
        host = f"tcp://{host}"
    scheme = host.partition("://")[0]
    try:
        parts = urlsplit(host)
        valid = scheme == "unix" or (
            scheme in {"tcp", "http", "https", "ssh"} and bool(parts.hostname) and parts.port != 0
        )
    except ValueError:
        valid = False
    if not valid:
        raise EndpointError(
            f"{host} ({origin}) is no address that can be used: use unix:///path, tcp://host:port or"
            " ssh://user@host"
        )
    return Endpoint(host, origin, None if scheme in {"unix", "ssh"} else tls)
