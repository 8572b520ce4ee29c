"""Certificates and tokens that are read again while the controller runs."""

import asyncio
import hashlib
import os
import ssl
import threading
from pathlib import Path

import pytest

from e2e_api.errors import PermissionDenied, Unauthenticated
from e2e_api.v1 import environment_service_pb2 as environments
from e2e_api.v1 import manifest_service_pb2 as manifests
from e2e_controller.server.tokens import Tokens

from .conftest import Client, Harness, checked, eventually
from .transport import (
    ADMIN,
    READER,
    TEAM,
    TOKENS,
    WithMetadata,
    bearer,
    certs,
    guarded,
    listed,
    read_on,
    table,
)


async def test_tokens_are_renewed_and_withdrawn(harness: Harness) -> None:
    file = table(harness)
    async with (
        guarded(harness, tokens=file) as served,
        served.client(TEAM) as client,
        served.client(READER) as reader,
    ):
        hold = client.environments.Hold(environments.HoldRequest(environment="test"))
        await hold.read()
        watch = reader.manifests.Watch(manifests.WatchRequest())
        await watch.read()
        new = TOKENS.replace(TEAM, "another-0123456789abcdef")
        replacement = file.with_suffix(".new")
        replacement.write_text(new)
        replacement.replace(file)
        with pytest.raises(Unauthenticated, match="withdrawn"):
            await checked(read_on(hold))
        with pytest.raises(Unauthenticated):
            await listed(client)
        await listed(reader)
        assert not watch.done()
        watch.cancel()
        async with served.client("another-0123456789abcdef") as renewed:
            await listed(renewed)


def test_tokens_from_a_pipe_are_read_once(tmp_path: Path) -> None:
    """As of a shell's `<(...)`: another read might never end."""
    pipe = tmp_path / "tokens"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=(TOKENS,))
    writing.start()
    tokens = Tokens(table=pipe)
    writing.join()
    os.utime(pipe)
    assert not tokens.renew()
    assert tokens.find(TEAM) is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: x, token: short}\n", "a token of less than 16 characters can be guessed"),
        ('- {name: x, tokenFile: "a\\0b"}\n', "0.tokenFile: String should match"),
        ("- {name: x, tokenFile: not-there}\n", "not-there: No such file"),
    ],
)
async def test_a_broken_file_of_tokens_leaves_the_old_in_force(
    harness: Harness, caplog: pytest.LogCaptureFixture, text: str, told: str
) -> None:
    file = table(harness)
    async with guarded(harness, tokens=file) as served, served.client(ADMIN) as client:
        file.write_text(text)
        await eventually(lambda: told in caplog.text)
        await listed(client)
        assert caplog.text.count("stays in force") == 1
        assert harness.sample("e2e_renewals_total", result="error") == 1
        file.write_text(TOKENS.replace(ADMIN, "another-0123456789abcdef"))
        await eventually(lambda: harness.sample("e2e_renewals_total", result="success"))
        with pytest.raises(Unauthenticated):
            await listed(client)


async def test_a_renewed_certificate_is_shown_without_a_restart(harness: Harness) -> None:
    """Renewed as Kubernetes does it: a link to the folder that has them points elsewhere."""
    first, second = certs(harness, "localhost", name="first"), certs(harness, "localhost", name="second")
    current = harness.state.with_name("current")
    current.symlink_to(first)
    settings = {"tls_cert": current / "server.crt", "tls_key": current / "server.key"}
    async with guarded(harness, http="127.0.0.1:0", **settings) as served:
        http = int(harness.manager.http_address.rpartition(":")[2])
        for port in (served.port, http):
            assert await asyncio.to_thread(shown, port) == certificate(first)
        swapped = harness.state.with_name("swapped")
        swapped.symlink_to(second)
        swapped.replace(current)
        await eventually(lambda: harness.sample("e2e_renewals_total", result="success"))
        for port in (served.port, http):
            assert await asyncio.to_thread(shown, port) == certificate(second)
        assert harness.sample("e2e_certificate_expiry_timestamp_seconds") > 0


async def test_a_broken_certificate_leaves_the_old_in_force(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(harness, tls=True) as served:
        folder = harness.state.with_name("certs")
        before = certificate(folder)
        (folder / "server.crt").write_text("rubbish")
        await eventually(lambda: "no certificate in PEM with its key" in caplog.text)
        (folder / "server.crt").write_bytes((folder / "client.crt").read_bytes())  # not of this key
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(shown, served.port) == before
        async with served.client() as client:
            await listed(client)
        certs(harness, name="other")
        for name in ("server.key", "server.crt"):
            (folder / name).write_bytes((harness.state.with_name("other") / name).read_bytes())
        await eventually(lambda: harness.sample("e2e_renewals_total", result="success"))
        assert await asyncio.to_thread(shown, served.port) == certificate(folder)


def certificate(folder: Path) -> str:
    return (folder / "server.crt").read_text()


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


async def test_tokens_by_digest_and_by_file(harness: Harness) -> None:
    harness.state.with_name("team-token").write_text(f"{TEAM}\n")
    text = f"""\
- {{name: admin, sha256: {hashlib.sha256(ADMIN.encode()).hexdigest()}}}
- {{name: team, tokenFile: team-token, environments: [team-]}}
"""
    async with guarded(harness, tokens=table(harness, text)) as served:
        async with served.client(ADMIN) as client:
            await listed(client)
        async with served.client(TEAM) as client:
            with pytest.raises(PermissionDenied):
                await client.get(environment="test")
            harness.state.with_name("team-token").write_text("another-0123456789abcdef\n")
            await eventually(lambda: harness.sample("e2e_renewals_total", result="success"))
            with pytest.raises(Unauthenticated):
                await client.get(environment="team-1")


@pytest.mark.parametrize("token", ["", "short-012345678"])
async def test_the_digest_of_what_is_no_token_lets_nobody_in(harness: Harness, token: str) -> None:
    """As a script writes it whose variable is not set."""
    text = f"- {{name: ci, sha256: {hashlib.sha256(token.encode()).hexdigest()}}}\n"
    async with guarded(harness, tokens=table(harness, text)) as served, served.channel() as channel:
        with pytest.raises(Unauthenticated):
            await listed(Client(WithMetadata(channel, bearer(token))))  # type: ignore[arg-type]


async def test_files_that_others_can_read_are_told_of(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    file = table(harness)
    file.chmod(0o644)
    async with guarded(harness, tls=True, tokens=file):
        pass
    assert f"{file} is secret, and others can read or change it: chmod 600" in caplog.text
    assert "server.key is secret" not in caplog.text
