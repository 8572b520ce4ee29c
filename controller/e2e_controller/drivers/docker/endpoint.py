"""Where the engine is: found as the docker command finds it."""

import hashlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from docker.tls import TLSConfig

from e2e_controller.drivers.base import EngineUnavailable

DEFAULT_URL = "unix:///var/run/docker.sock"
DEFAULT_TLS_URL = "tcp://localhost:2376"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Certificates towards the engine; "" where a file is not there."""

    ca: str
    certificate: str
    key: str
    verify: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's address, and what it was learned from."""

    url: str
    source: str
    tls: TlsFiles | None = None

    def __str__(self) -> str:
        return f"{self.url} ({self.source})"

    @property
    def socket_path(self) -> str:
        """Path of the Unix socket; "" where the engine is on TCP."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else ""

    @property
    def host(self) -> str:
        """Host name on TCP."""
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """Port on TCP."""
        return urlsplit(self.url).port or (2376 if self.tls else 2375)

    @property
    def is_local(self) -> bool:
        """Whether the engine is on this machine, as far as the address tells."""
        return bool(self.socket_path) or self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def http_url(self) -> str:
        """Base URL for an HTTP client that is connected to it already."""
        if self.socket_path:
            return "http://localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"

    def docker_tls(self) -> TLSConfig | bool:
        """The same certificates, for docker-py."""
        if self.tls is None:
            return False
        pair = (self.tls.certificate, self.tls.key) if self.tls.certificate and self.tls.key else None
        return TLSConfig(client_cert=pair, ca_cert=self.tls.ca or None, verify=self.tls.verify)

    def ssl_context(self) -> ssl.SSLContext | None:
        """The same certificates, for asyncio."""
        if self.tls is None:
            return None
        context = ssl.create_default_context(cafile=self.tls.ca or None)
        if not self.tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.tls.certificate and self.tls.key:
            context.load_cert_chain(self.tls.certificate, self.tls.key)
        return context


def find_endpoint(engine: str | None, environment: Mapping[str, str]) -> Endpoint:
    """The engine to talk to: `engine`, DOCKER_HOST, DOCKER_CONTEXT, the current context, the default socket.

    Raises `EngineUnavailable` where what is named cannot be used.
    """
    home = Path(environment.get("HOME") or Path.home())
    folder = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    tls = _tls_from_environment(environment, folder)
    if engine or environment.get("DOCKER_HOST"):
        url, source = (
            (engine, "the engine setting") if engine else (environment["DOCKER_HOST"], "DOCKER_HOST")
        )
        return _checked(Endpoint(url, source, tls))
    name, source = environment.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not name:
        name, source = _current_context(folder), str(folder / "config.json")
    if name and name != "default":
        return _checked(_from_context(name, source, folder))
    return Endpoint(DEFAULT_TLS_URL if tls else DEFAULT_URL, "default", tls)


def check_local(endpoint: Endpoint) -> Endpoint:
    """The endpoint, if its containers' ports are published on this machine.

    On another one's loopback nobody here reaches them, and a program of this machine may answer in their
    place. Raises `EngineUnavailable`.
    """
    if not endpoint.is_local:
        raise EngineUnavailable(
            f"the engine at {endpoint} is on another machine, which is not supported: the ports of its "
            "containers cannot be reached from here",
            remedy="run the controller and the tests on that machine, or use an engine on this one "
            "(unset DOCKER_HOST, or `docker context use default`)",
        )
    return endpoint


def _tls_from_environment(environment: Mapping[str, str], folder: Path) -> TlsFiles | None:
    """DOCKER_TLS_VERIFY and DOCKER_TLS turn TLS on; DOCKER_CERT_PATH only says where its files are."""
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return _tls_files(Path(environment.get("DOCKER_CERT_PATH") or folder), verify)


def _tls_files(folder: Path, verify: bool) -> TlsFiles:
    ca, certificate, key = (
        str(folder / name) if (folder / name).is_file() else "" for name in ("ca.pem", "cert.pem", "key.pem")
    )
    return TlsFiles(ca, certificate, key, verify)


def _current_context(folder: Path) -> str:
    try:
        document = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    name = document.get("currentContext") if isinstance(document, dict) else None
    return name if isinstance(name, str) else ""


def _from_context(name: str, source: str, folder: Path) -> Endpoint:
    """Read here and not by docker-py, which finds no context where there is no config.json."""
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / identity / "meta.json"
    try:
        endpoint = json.loads(meta.read_text())["Endpoints"]["docker"]
        url, verify = str(endpoint["Host"]), not endpoint.get("SkipTLSVerify", False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineUnavailable(
            f"no engine: the docker context {name!r} (from {source}) cannot be read: {error}",
            remedy="see `docker context ls`, choose one with `docker context use`, or set DOCKER_HOST",
        ) from error
    certificates = folder / "contexts" / "tls" / identity / "docker"
    tls = _tls_files(certificates, verify) if certificates.is_dir() or not verify else None
    return Endpoint(url, f"context {name}", tls)


def _checked(endpoint: Endpoint) -> Endpoint:
    """Normalises an address, or says why it cannot be one."""
    url = endpoint.url.strip()
    if url.startswith("unix://"):
        path = url.removeprefix("unix://") or DEFAULT_URL.removeprefix("unix://")
        url = f"unix:///{path.lstrip('/')}"
    elif url.startswith("/"):
        url = f"unix://{url}"
    elif "://" not in url:
        url = f"tcp://{url}"
    scheme = url.partition("://")[0]
    if scheme == "https" and endpoint.tls is None:
        endpoint = Endpoint(url, endpoint.source, TlsFiles("", "", "", verify=True))
    endpoint = Endpoint(url, endpoint.source, None if scheme == "unix" else endpoint.tls)
    try:
        valid = scheme in ("unix", "tcp", "http", "https") and (
            scheme == "unix" or bool(urlsplit(url).hostname and endpoint.port)
        )
    except ValueError:
        valid = False
    if not valid:
        raise EngineUnavailable(
            f"no engine: the address {endpoint} is none that this driver can use",
            remedy="use unix:///path or tcp://host:port; where the engine is reached by ssh:// only, "
            "run this on its machine",
        )
    return endpoint
