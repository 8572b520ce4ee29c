import hashlib
import json
from pathlib import Path

import pytest

from e2e_controller.drivers.base import EngineUnavailable
from e2e_controller.drivers.docker.endpoint import (
    DEFAULT_URL,
    Endpoint,
    TlsFiles,
    find_endpoint,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".docker").mkdir()
    return tmp_path


def environment(home: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(home), **variables}


def write_context(folder: Path, name: str, url: str, *, skip_verify: bool = False, tls: bool = False) -> None:
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / identity
    meta.mkdir(parents=True)
    endpoint = {"Host": url, "SkipTLSVerify": skip_verify}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if tls:
        certificates = folder / "contexts" / "tls" / identity / "docker"
        certificates.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (certificates / file).touch()


def test_the_default_socket(home: Path) -> None:
    assert find_endpoint(None, environment(home)) == Endpoint(DEFAULT_URL, "default")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://", DEFAULT_URL),
        ("/run/x.sock", "unix:///run/x.sock"),
        ("tcp://10.0.0.1:2375", "tcp://10.0.0.1:2375"),
        (" tcp://[::1]:2375 ", "tcp://[::1]:2375"),
        ("engine:2375", "tcp://engine:2375"),
        ("http://engine:80", "http://engine:80"),
        ("ssh://engine", "ssh://engine"),
        ("ssh://me@engine.example:2222/run/user/1000/docker.sock",) * 2,
        ("ssh://me@[fd00::1]:22", "ssh://me@[fd00::1]:22"),
    ],
)
def test_addresses(home: Path, given: str, url: str) -> None:
    assert find_endpoint(None, environment(home, DOCKER_HOST=given)).url == url
    assert find_endpoint(given, environment(home, DOCKER_HOST="tcp://loses:1")).url == url


@pytest.mark.parametrize(
    "given",
    [
        *("npipe:////./pipe/docker", "fd://", "tcp://", "tcp://a:b"),
        # What ssh would take for an option, or for something to run.
        *("ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://me@-host", "ssh://a b", "ssh://a:b"),
        *("ssh://me:secret@host", "ssh://host?x", "ssh://$(x)"),
    ],
)
def test_addresses_that_cannot_be_used(home: Path, given: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"DOCKER_HOST.*unix:///path, tcp://host:port"):
        find_endpoint(None, environment(home, DOCKER_HOST=given))


def test_what_wins(home: Path) -> None:
    folder = home / ".docker"
    write_context(folder, "one", "unix:///one")
    write_context(folder, "two", "unix:///two")
    (folder / "config.json").write_text('{"currentContext": "one"}')
    assert find_endpoint(None, environment(home)).url == "unix:///one"
    assert find_endpoint(None, environment(home, DOCKER_CONTEXT="two")).url == "unix:///two"
    assert find_endpoint(None, environment(home, DOCKER_CONTEXT="default")).url == DEFAULT_URL
    both = environment(home, DOCKER_CONTEXT="two", DOCKER_HOST="unix:///host")
    assert find_endpoint(None, both).url == "unix:///host"
    assert find_endpoint("unix:///set", both).url == "unix:///set"


def test_contexts_are_found_without_a_config_file(tmp_path: Path) -> None:
    write_context(tmp_path / "config", "one", "unix:///one")
    variables = environment(tmp_path, DOCKER_CONFIG=str(tmp_path / "config"), DOCKER_CONTEXT="one")
    assert find_endpoint(None, variables) == Endpoint("unix:///one", "context one")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Endpoints": {"docker": {}}}', '{"Endpoints": 3}'])
def test_contexts_that_cannot_be_read(home: Path, text: str) -> None:
    write_context(home / ".docker", "one", "unix:///one")
    (next((home / ".docker" / "contexts" / "meta").iterdir()) / "meta.json").write_text(text)
    with pytest.raises(EngineUnavailable, match=r"context 'one'.*docker context ls"):
        find_endpoint(None, environment(home, DOCKER_CONTEXT="one"))


@pytest.mark.parametrize("text", ["", "[]", '{"currentContext": 3}', '{"currentContext": ""}'])
def test_a_config_file_that_says_nothing(home: Path, text: str) -> None:
    (home / ".docker" / "config.json").write_text(text)
    assert find_endpoint(None, environment(home)).url == DEFAULT_URL


@pytest.mark.parametrize("skip_verify", [True, False])
def test_tls_from_a_context(home: Path, skip_verify: bool) -> None:
    write_context(home / ".docker", "one", "tcp://engine:2376", skip_verify=skip_verify, tls=True)
    found = find_endpoint(None, environment(home, DOCKER_CONTEXT="one"))
    assert found.tls is not None
    assert found.tls.verify is not skip_verify
    assert Path(found.tls.key).name == "key.pem"


def test_https_is_tls(home: Path) -> None:
    found = find_endpoint("https://engine:2376", environment(home))
    assert found.tls == TlsFiles("", "", "", verify=True)
    assert found.ssl_context() is not None
    assert found.http_url == "https://engine:2376"


def test_parts() -> None:
    local = Endpoint("unix:///run/x.sock", "x")
    assert (local.socket_path, local.is_local, local.http_url) == ("/run/x.sock", True, "http://localhost")
    remote = Endpoint("tcp://[fd00::1]:2375", "x")
    assert (remote.socket_path, remote.host, remote.port, remote.is_local) == ("", "fd00::1", 2375, False)
    assert remote.http_url == "http://[fd00::1]:2375"
    assert Endpoint("tcp://127.0.0.1:1", "x").is_local
    assert str(remote) == "tcp://[fd00::1]:2375 (x)"


@pytest.mark.parametrize(
    ("url", "bound", "address"),
    [
        ("unix:///x.sock", "127.0.0.1", "127.0.0.1"),
        ("unix:///x.sock", "", "127.0.0.1"),
        ("unix:///x.sock", "0.0.0.0", "127.0.0.1"),
        ("unix:///x.sock", "192.0.2.1", "192.0.2.1"),
        ("tcp://localhost:2375", "127.0.0.1", "127.0.0.1"),
        ("tcp://engine:2375", "192.0.2.1", "192.0.2.1"),
        ("tcp://engine:2375", "0.0.0.0", "engine"),
        ("tcp://engine:2375", "::", "engine"),
        ("tcp://engine:2375", "", "engine"),
        ("tcp://engine:2375", "127.0.0.1", ""),
        ("ssh://engine", "127.0.0.1", "127.0.0.1"),
        ("ssh://engine", "0.0.0.0", "127.0.0.1"),
    ],
)
def test_where_published_ports_are_reached(url: str, bound: str, address: str) -> None:
    assert Endpoint(url, "x").reached_at(bound) == address


@pytest.mark.parametrize("url", ["tcp://docker:2375", "tcp://10.0.0.1:2376", "tcp://[fd00::1]:1", "ssh://h"])
def test_engines_of_other_machines(url: str) -> None:
    assert not Endpoint(url, "x").is_local
