"""Find the container engine as the docker CLI does, and ask whether it answers: standard library only."""

import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"
SSH_TIMEOUT = 20


@dataclass(frozen=True)
class Endpoint:
    """An engine's address, where it was named, and the folder of its TLS files if it has some."""

    host: str
    origin: str
    certificates: Path | None = None
    verify: bool = True

    @property
    def is_default(self) -> bool:
        """Whether nobody named an engine, so that one may be started here."""
        return self.host == DEFAULT_HOST


class EndpointError(Exception):
    """The engine does not answer; the message says what was tried and what came back."""


def find_endpoint() -> Endpoint:
    """Return the engine that the docker CLI would use: DOCKER_HOST, DOCKER_CONTEXT, context, default."""
    if host := os.environ.get("DOCKER_HOST"):
        return _from_environment(host)
    if context := os.environ.get("DOCKER_CONTEXT"):
        return _from_context(context, "DOCKER_CONTEXT")
    if context := _configured_context():
        return _from_context(context, "the docker configuration's current context")
    return Endpoint(DEFAULT_HOST, "the default socket")


def ping(endpoint: Endpoint, timeout: float) -> None:
    """Return if the engine answers within `timeout` seconds; raise EndpointError with the cause if not."""
    try:
        _ping(endpoint, timeout)
    except (OSError, http.client.HTTPException, ValueError, subprocess.SubprocessError) as error:
        raise EndpointError(
            f"{endpoint.host} ({endpoint.origin}): {str(error) or type(error).__name__}"
        ) from error


def _ping(endpoint: Endpoint, timeout: float) -> None:
    if endpoint.host.startswith("ssh://"):
        _ping_with_cli(endpoint, timeout)
        return
    connection = _connection(endpoint, timeout)
    try:
        connection.request("GET", "/_ping")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != http.client.OK:
        raise OSError(f"it answered HTTP {status}")


def _ping_with_cli(endpoint: Endpoint, timeout: float) -> None:
    if shutil.which("docker") is None:
        raise OSError("an ssh:// engine needs the docker command on PATH")
    command = ["docker", "--host", endpoint.host, "version", "--format", "{{.Server.Version}}"]
    subprocess.run(
        command, check=True, capture_output=True, timeout=max(timeout, SSH_TIMEOUT), stdin=subprocess.DEVNULL
    )


def _connection(endpoint: Endpoint, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(endpoint.host)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise ValueError("not an address of an engine that this tool knows (unix, tcp, ssh)")
    if endpoint.certificates is None and parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)
    context = _tls_context(endpoint)
    return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout, context=context)


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context()
    folder = endpoint.certificates
    if folder is not None:
        if (folder / "ca.pem").exists():
            context.load_verify_locations(folder / "ca.pem")
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    if not endpoint.verify:
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


def _from_environment(host: str) -> Endpoint:
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    tls = verify or bool(os.environ.get("DOCKER_TLS"))
    certificates = Path(os.environ.get("DOCKER_CERT_PATH") or _configuration_folder()) if tls else None
    return Endpoint(host, "DOCKER_HOST", certificates, verify)


def _configured_context() -> str:
    try:
        configuration = json.loads((_configuration_folder() / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(configuration.get("currentContext", ""))


def _from_context(name: str, origin: str) -> Endpoint:
    if name == "default":
        return Endpoint(DEFAULT_HOST, "the default socket")
    origin = f"context {name!r} of {origin}"
    folder = _configuration_folder() / "contexts"
    digest = hashlib.sha256(name.encode()).hexdigest()
    try:
        meta = json.loads((folder / "meta" / digest / "meta.json").read_text())
        engine = meta["Endpoints"]["docker"]
        host = str(engine["Host"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EndpointError(f"{origin} cannot be read: {error}") from error
    certificates = folder / "tls" / digest / "docker"
    return Endpoint(
        host,
        origin,
        certificates if certificates.is_dir() else None,
        verify=not engine.get("SkipTLSVerify", False),
    )
