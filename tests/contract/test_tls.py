"""An engine behind TLS."""

import asyncio
import ssl
from pathlib import Path

import pytest

from e2e_controller.drivers.base import (
    EngineUnavailable,
    ExitCode,
    Output,
)
from tests.certificates import Authority
from tests.contract import proxies
from tests.contract.bench import Bench, MakeDriver, finish


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and with its signature certificates of server and client; as `docker` wants them named."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    authority.issue("server", "127.0.0.1")
    authority.issue("", "client")
    return folder


def server_context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # as Go's TLS: a bare end of TCP is an end
    context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    return context


async def test_over_tls(
    docker_bench: Bench,
    make_driver: MakeDriver,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    container_id = await docker_bench.up()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    with proxies.tls_proxy(server_context(certificates)) as url:
        driver = make_driver(url, call_timeout=30)
        await driver.start()
        session = await driver.exec(container_id, ["cat"], stdin=True)
        block = bytes(range(256)) * 4096

        async def send() -> None:
            for _ in range(8):
                await session.write(block)
            await session.close_stdin()

        sending = asyncio.create_task(send())
        assert await finish(session) == (block * 8, b"", 0)
        await sending
        session = await driver.exec(container_id, ["echo", "hello"])
        assert [piece async for piece in session] == [Output("stdout", b"hello\n"), ExitCode(0)]
        await driver.stop(container_id, 0)
        assert [piece async for piece in driver.logs(container_id)] == []
        await driver.close()


async def test_tls_that_does_not_fit(
    make_driver: MakeDriver, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    async with proxies.tcp_server(proxies.hang, server_context(certificates)) as url:
        driver = make_driver(url, call_timeout=30)
        with pytest.raises(EngineUnavailable, match=r"CA that is not trusted.*DOCKER_CERT_PATH"):
            await driver.start()
