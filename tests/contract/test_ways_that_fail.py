"""The way to an engine on another machine does not work: what is said, for TLS and for ssh."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from e2e_controller.drivers.base import EngineUnavailable
from tests.certificates import Authority
from tests.contract.bench import MakeDriver
from tests.other_machine import OtherMachine


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda base: (base / "known").write_text(""), "does not trust the host's key.*compare the key"),
        (lambda base: (base / "authorized").write_text(""), "may not log in.*Permission denied.*BatchMode"),
    ],
    ids=["an unknown host key", "a key that is not accepted"],
)
async def test_ssh_that_fails_says_why(
    ssh_folder: Path,
    machine: OtherMachine,
    make_driver: MakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object],
    text: str,
) -> None:
    monkeypatch.setenv("PATH", f"{ssh_folder}:{os.environ['PATH']}")
    kept = {name: (machine.base / name).read_text() for name in ("known", "authorized")}
    spoil(machine.base)
    try:
        with pytest.raises(EngineUnavailable, match=text):
            await make_driver(machine.ssh, call_timeout=30).start()
    finally:
        for name, content in kept.items():
            (machine.base / name).write_text(content)


async def test_no_engine_behind_ssh(
    ssh_folder: Path, machine: OtherMachine, make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{ssh_folder}:{os.environ['PATH']}")
    driver = make_driver(f"ssh://root@{machine.address}/no/such.sock", call_timeout=30)
    with pytest.raises(EngineUnavailable, match=r"nothing answers at /no/such.sock.*start the engine there"):
        await driver.start()
    with pytest.raises(EngineUnavailable, match=r"does not reach the host.*refused"):
        await make_driver(f"ssh://root@{machine.address}:1", call_timeout=30).start()


async def test_no_ssh(make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"cannot run ssh.*install OpenSSH"):
        await make_driver("ssh://somewhere", call_timeout=30).start()


def other_ca(folder: Path, machine: OtherMachine) -> None:
    copy(machine, folder, "cert.pem", "key.pem")
    Authority(folder, "another CA")


def no_certificate(folder: Path, machine: OtherMachine) -> None:
    copy(machine, folder, "ca.pem")


def foreign_certificate(folder: Path, machine: OtherMachine) -> None:
    Authority(folder, "another CA").issue("", "client")
    copy(machine, folder, "ca.pem")


def garbage(folder: Path, machine: OtherMachine) -> None:
    copy(machine, folder, "key.pem", "cert.pem")
    (folder / "ca.pem").write_text("no certificate")


def expired_certificate(folder: Path, machine: OtherMachine) -> None:
    machine.authority.issue("expired", "client", until=datetime.now(UTC) - timedelta(days=1))
    copy(machine, folder, "ca.pem")
    for name in ("cert.pem", "key.pem"):
        (folder / name).write_bytes((machine.base / f"expired-{name}").read_bytes())


def copy(machine: OtherMachine, folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes((machine.base / name).read_bytes())


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (other_ca, r"a CA that is not trusted.*ca\.pem into .*DOCKER_CERT_PATH"),
        (no_certificate, r"does not accept this client's certificate.*cert\.pem and key\.pem"),
        (foreign_certificate, r"does not accept this client's certificate.*cert\.pem and key\.pem"),
        (expired_certificate, r"does not accept this client's certificate"),
        (garbage, r"DOCKER_CERT_PATH"),
    ],
)
async def test_tls_that_fails_says_why(
    machine: OtherMachine,
    make_driver: MakeDriver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Path, OtherMachine], None],
    text: str,
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    prepare(folder, machine)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    with pytest.raises(EngineUnavailable, match=text):
        await make_driver(machine.tcp, call_timeout=30).start()


async def test_without_tls_where_it_is_wanted(machine: OtherMachine, make_driver: MakeDriver) -> None:
    with pytest.raises(EngineUnavailable, match=r"HTTPS server.*set DOCKER_TLS_VERIFY=1"):
        await make_driver(machine.tcp, call_timeout=30).start()
