"""Where the engine is: found as the docker command finds it."""

import hashlib
import ipaddress
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from docker.tls import TLSConfig

from e2e_api.addresses import host_and_port
from e2e_controller.drivers.base import EngineUnavailable

LOOPBACK = "127.0.0.1"
DEFAULT_URL = "unix:///var/run/docker.sock"
DEFAULT_TLS_URL = "tcp://localhost:2376"
_SSH_HOST = re.compile(r"(?:[A-Za-z0-9_][\w.-]*@)?(?:[A-Za-z0-9_][\w.-]*|\[[0-9A-Fa-f:.]+\])")
"""What may stand in a command line of ssh: nothing that it could take for an option."""


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
    def is_ssh(self) -> bool:
        """Whether the engine's socket is on a machine that ssh reaches."""
        return self.url.startswith("ssh://")

    @property
    def host(self) -> str:
        """Host name on TCP."""
        return urlsplit(self.url).hostname or LOOPBACK

    @property
    def port(self) -> int:
        """Port on TCP."""
        return urlsplit(self.url).port or (2376 if self.tls else 2375)

    @property
    def is_local(self) -> bool:
        """Whether the engine is on this machine, as far as the address tells."""
        if self.socket_path or self.is_ssh:
            return not self.is_ssh
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def reached_at(self, bound: str) -> str:
        """Where this process reaches a port that is bound to that address of the engine's machine; or "".

        By ssh, each is brought to this machine's loopback.
        """
        address = ipaddress.ip_address(bound) if bound else None
        if self.is_ssh or (self.is_local and (address is None or address.is_unspecified)):
            return LOOPBACK
        if address is None or address.is_unspecified:
            return self.host
        return bound if self.is_local or not address.is_loopback else ""

    @property
    def http_url(self) -> str:
        """Base URL for an HTTP client that is connected to it already."""
        if self.socket_path:
            return "http://localhost"
        return f"http{'s' if self.tls else ''}://{host_and_port(self.host, self.port)}"

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
    endpoint = Endpoint(url, endpoint.source, None if scheme in ("unix", "ssh") else endpoint.tls)
    try:
        valid = _is_usable(scheme, endpoint)
    except ValueError:
        valid = False
    if not valid:
        raise EngineUnavailable(
            f"no engine: the address {endpoint} is none that this driver can use",
            remedy="use unix:///path, tcp://host:port, or ssh://user@host, with :port and /path/of/socket "
            "where those are not the usual ones",
        )
    return endpoint


def _is_usable(scheme: str, endpoint: Endpoint) -> bool:
    """Raises ValueError where the address has a part that is nonsense."""
    parts = urlsplit(endpoint.url)
    if scheme == "ssh":
        host = parts.netloc.removesuffix(f":{parts.port}")
        return bool(_SSH_HOST.fullmatch(host)) and not (parts.query or parts.fragment)
    tcp = scheme in ("tcp", "http", "https")
    return scheme == "unix" or (tcp and bool(parts.hostname and endpoint.port))
