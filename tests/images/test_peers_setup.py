"""How the benchmark's peers are installed, without installing any."""

from pathlib import Path

import pytest
from setup import peers
from setup.go_programs import GoError
from setup.peers import PeerError, install_all

SOURCES = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been run."""
    seen: list[list[str]] = []

    def run(command: list[str], *_: object) -> str:
        seen.append(command)
        return "1.29.2\n"

    monkeypatch.setattr(peers, "_run", run)
    monkeypatch.setattr(peers, "find_go", lambda: Path("/go"))
    monkeypatch.setattr(peers.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(peers.shutil, "which", lambda name: f"/bin/{name}")
    return seen


def test_each_is_made_once_and_pinned(tmp_path: Path, commands: list[list[str]]) -> None:
    found = dict(install_all(SOURCES, tmp_path))
    assert {name: peer.version.split("-")[0] for name, peer in found.items()} == {
        "compose": "v2.40.3",
        "testcontainers": "4.15.0",
        "efficientgo": "v0.14.1",
    }
    assert [command[:2] for command in commands if "pip" not in command] == [["/go", "build"]] * 2
    assert "--require-hashes" in commands[1]
    made = len(commands)
    assert dict(install_all(SOURCES, tmp_path)) == found
    assert len(commands) == made


def test_without_go_the_reason_is_told(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_go() -> Path:
        raise GoError("none here")

    monkeypatch.setattr(peers, "find_go", no_go)
    found = dict(install_all(SOURCES, tmp_path))
    assert "none here" in str(found["efficientgo"])
    assert isinstance(found["testcontainers"], peers.Peer)
    assert "Debian's docker-compose is 1.29.2, which has no `up --wait`" in str(found["compose"])


def test_what_is_broken_half_way_is_made_again(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    working = peers._run

    def broken(*_: object) -> str:
        raise PeerError("no network")

    monkeypatch.setattr(peers, "_run", broken)
    assert isinstance(dict(install_all(SOURCES, tmp_path))["testcontainers"], PeerError)
    monkeypatch.setattr(peers, "_run", working)
    assert isinstance(dict(install_all(SOURCES, tmp_path))["testcontainers"], peers.Peer)


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(PeerError, match="ended with 3: it went wrong"):
        peers._run(["sh", "-c", "echo it went wrong >&2; exit 3"])
    with pytest.raises(PeerError, match="no-such-program"):
        peers._run(["no-such-program"])
