"""The engine is found by one rule, the docker command's, by the set-up tools and by the driver."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from setup.endpoint import EndpointError
from setup.endpoint import find_endpoint as find_for_tools

from e2e_controller.drivers.base import EngineUnavailable
from e2e_controller.drivers.docker.endpoint import find_endpoint as find_for_driver

SOCKET = "unix:///var/run/docker.sock"
FILES = ("ca.pem", "cert.pem", "key.pem")
REMOTE = "tcp://engine:2376"
SAFE = hashlib.sha256(b"safe").hexdigest()
_VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@dataclass(frozen=True)
class Found:
    """`files`: the folder that the certificates are from, of those in this test."""

    url: str
    verify: bool | None = None
    files: str = ""


@dataclass(frozen=True)
class Case:
    name: str
    expected: Found | str
    """A text: a part of the error."""
    variables: dict[str, str] = field(default_factory=dict)
    current: Any = None


CASES = [
    Case("nothing", Found(SOCKET)),
    Case("a host", Found("unix:///h.sock"), {"DOCKER_HOST": "unix:///h.sock"}),
    Case(
        "a host wins", Found("unix:///h.sock"), {"DOCKER_HOST": "unix:///h.sock", "DOCKER_CONTEXT": "plain"}
    ),
    Case("an empty host", Found("unix:///plain"), {"DOCKER_HOST": "", "DOCKER_CONTEXT": "plain"}),
    Case("a path", Found("unix:///h.sock"), {"DOCKER_HOST": "/h.sock"}),
    Case("no path", Found(SOCKET), {"DOCKER_HOST": "unix://"}),
    Case("no scheme", Found("tcp://engine:2375"), {"DOCKER_HOST": "engine:2375"}),
    Case("spaces", Found("tcp://[::1]:2375"), {"DOCKER_HOST": " tcp://[::1]:2375 "}),
    Case("ssh", Found("ssh://me@host:2222/x.sock"), {"DOCKER_HOST": "ssh://me@host:2222/x.sock"}),
    Case("ssh by a context", Found("ssh://host"), {"DOCKER_CONTEXT": "by-ssh"}),
    Case("ssh needs no TLS", Found("ssh://host"), {"DOCKER_HOST": "ssh://host", "DOCKER_TLS": "1"}),
    Case("no host name", "use unix:///path, tcp://host:port", {"DOCKER_HOST": "tcp://"}),
    Case("no port number", "use unix:///path, tcp://host:port", {"DOCKER_HOST": "tcp://a:b"}),
    Case("another scheme", "use unix:///path, tcp://host:port", {"DOCKER_HOST": "fd://"}),
    Case("a context", Found("unix:///plain"), {"DOCKER_CONTEXT": "plain"}),
    Case("no such context", "'nowhere'", {"DOCKER_CONTEXT": "nowhere"}),
    Case("the default context", Found(SOCKET), {"DOCKER_CONTEXT": "default"}, "plain"),
    Case("the current context", Found("unix:///plain"), current="plain"),
    Case(
        "a context with certificates",
        Found(REMOTE, True, f"config/contexts/tls/{SAFE}/docker"),
        {"DOCKER_CONTEXT": "safe"},
    ),
    Case("a context that verifies nothing", Found(REMOTE, False), {"DOCKER_CONTEXT": "unsafe"}),
    Case("a current context that is none", Found(SOCKET), current=3),
    Case("TLS", Found(REMOTE, False, "config"), {"DOCKER_HOST": REMOTE, "DOCKER_TLS": "1"}),
    Case("TLS, verified", Found(REMOTE, True, "config"), {"DOCKER_HOST": REMOTE, "DOCKER_TLS_VERIFY": "1"}),
    Case(
        "any text turns it on",
        Found(REMOTE, True, "config"),
        {"DOCKER_HOST": REMOTE, "DOCKER_TLS_VERIFY": "0"},
    ),
    Case(
        "both",
        Found(REMOTE, True, "config"),
        {"DOCKER_HOST": REMOTE, "DOCKER_TLS_VERIFY": "1", "DOCKER_TLS": "1"},
    ),
    Case("an empty one", Found(REMOTE), {"DOCKER_HOST": REMOTE, "DOCKER_TLS_VERIFY": "", "DOCKER_TLS": ""}),
    Case("certificates alone", Found(REMOTE), {"DOCKER_HOST": REMOTE, "DOCKER_CERT_PATH": "other"}),
    Case(
        "certificates elsewhere",
        Found(REMOTE, True, "other"),
        {"DOCKER_HOST": REMOTE, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "other"},
    ),
    Case("TLS without a host", Found("tcp://localhost:2376", True, "config"), {"DOCKER_TLS_VERIFY": "1"}),
    Case(
        "no TLS on a socket",
        Found("unix:///h.sock"),
        {"DOCKER_HOST": "unix:///h.sock", "DOCKER_TLS_VERIFY": "1"},
    ),
    Case(
        "a context has its own", Found("unix:///plain"), {"DOCKER_CONTEXT": "plain", "DOCKER_TLS_VERIFY": "1"}
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case, with its variables set and its files there."""
    found: Case = request.param
    config = tmp_path / "config"
    for folder in (config, tmp_path / "other"):
        touch(folder)
    write_context(config, "plain", {"Host": "unix:///plain"})
    write_context(config, "by-ssh", {"Host": "ssh://host"})
    write_context(config, "unsafe", {"Host": REMOTE, "SkipTLSVerify": True})
    write_context(config, "safe", {"Host": REMOTE})
    touch(config / "contexts" / "tls" / SAFE / "docker")
    if found.current is not None:
        (config / "config.json").write_text(json.dumps({"currentContext": found.current}))
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    for name, value in found.variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name == "DOCKER_CERT_PATH" else value)
    return found


def touch(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).touch()


def write_context(config: Path, name: str, endpoint: dict[str, Any]) -> None:
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts" / "meta" / identity
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))


def place_of(files: list[str], base: Path) -> str:
    """The one folder, below `base`, where all three files are; "" where there are none."""
    if not any(files):
        return ""
    assert {Path(file).name for file in files} == set(FILES)
    (folder,) = {str(Path(file).parent.relative_to(base)) for file in files}
    return folder


def test_the_driver(case: Case, tmp_path: Path) -> None:
    if isinstance(case.expected, str):
        with pytest.raises(EngineUnavailable) as raised:
            find_for_driver(None, os.environ)
        assert case.expected in str(raised.value)
        return
    found = find_for_driver(None, os.environ)
    tls = found.tls
    files = place_of([tls.ca, tls.certificate, tls.key], tmp_path) if tls else ""
    assert Found(found.url, tls.verify if tls else None, files) == case.expected


def test_the_tools(case: Case, tmp_path: Path) -> None:
    if isinstance(case.expected, str):
        with pytest.raises(EndpointError) as raised:
            find_for_tools()
        assert case.expected in str(raised.value)
        return
    found = find_for_tools()
    tls = found.tls
    files = place_of([tls.file(name) for name in FILES], tmp_path) if tls else ""
    assert Found(found.host, tls.verify if tls else None, files) == case.expected
