"""Who is let in over TCP, how much they get, and what renews without a restart."""

import asyncio
import logging
import socket
import ssl
from contextlib import suppress
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from e2e_api.errors import Unauthenticated, Unavailable
from e2e_api.v1 import manifest_service_pb2 as manifests

from .conftest import Client, Harness, checked, eventually
from .transport import (
    ADMIN,
    READER,
    TEAM,
    bearer,
    certs,
    guarded,
    listed,
    table,
)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_token_is_asked_for_over_tcp_only(harness: Harness, monkeypatch: Any, tls: bool) -> None:
    monkeypatch.setenv("E2E_TOKEN", ADMIN)
    async with guarded(harness, tls=tls) as served:
        await listed(served.local)
        async with served.client(ADMIN) as client:
            await listed(client)
        async with served.client() as client:
            with pytest.raises(Unauthenticated, match="asks for a token: set E2E_TOKEN") as missing:
                await listed(client)
            assert missing.value.reason == "TokenMissing"
        for wrong in (ADMIN[:-1], ADMIN + "x", "é", "x" * 3000):
            async with served.channel() as channel:
                stub = Client(channel).manifests.List
                metadata = (("authorization", f"Bearer {wrong}".encode("latin1").decode("latin1")),)
                if wrong == "é":
                    metadata = (("authorization", f"Basic {ADMIN}"),)
                with pytest.raises(Unauthenticated) as unknown:
                    await checked(stub(manifests.ListRequest(), metadata=metadata, timeout=20))
                assert unknown.value.reason == "TokenUnknown"
                assert wrong not in str(unknown.value)
        async with served.channel() as channel:  # two tokens are none
            twice = (*bearer(ADMIN), *bearer(ADMIN))
            with pytest.raises(Unauthenticated):
                await checked(Client(channel).manifests.List(manifests.ListRequest(), metadata=twice))
    assert harness.sample("e2e_refused_calls_total", reason="TokenUnknown") >= 4


async def test_health_is_open_and_the_rest_is_not(harness: Harness) -> None:
    async with guarded(harness, tls=True, tokens=table(harness)) as served, served.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        assert (await health.Check(request, timeout=20)).status == health_pb2.HealthCheckResponse.SERVING
        reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        question = reflection_pb2.ServerReflectionRequest(list_services="*")
        for call in (health.Watch(request, timeout=20), reflect(iter([question]), timeout=20)):
            with pytest.raises(grpc.RpcError) as refused:
                await call.read()
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        token = bearer(TEAM)
        assert (await health.Watch(request, metadata=token, timeout=20).read()).status == 1
        answer = await reflect(iter([question]), metadata=token, timeout=20).read()
        assert answer.list_services_response.service


async def test_nothing_is_read_of_a_call_without_a_token(harness: Harness) -> None:
    """A stranger must not fill the memory: a request is read whole before a handler is called."""
    async with guarded(harness, tokens=table(harness)) as served, served.channel() as channel:

        async def never() -> Any:
            await asyncio.Event().wait()
            yield b""

        for method in ("ManifestService/Apply", "ContainerService/CopyIn", "ManifestService/List"):
            call = channel.stream_unary(f"/e2e.v1.{method}")(never(), timeout=20)
            with pytest.raises(grpc.RpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_no_token_is_in_the_log(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "secret-of-somebody-0123"
    async with guarded(harness, tokens=table(harness)) as served:
        for token in (ADMIN, wrong):
            async with served.client(token) as client:
                with suppress(Unauthenticated):
                    await listed(client)
    assert "refused a call from ipv4:127.0.0.1:" in caplog.text
    assert wrong not in caplog.text
    assert ADMIN not in caplog.text
    assert ADMIN not in repr(harness.manager._settings)


async def test_clients_without_a_certificate_are_refused(harness: Harness) -> None:
    folder = certs(harness)
    async with guarded(harness, tls=True, tls_client_ca=folder / "ca.crt") as served:
        async with served.client() as client:
            with pytest.raises(Unavailable):
                await listed(client)
        roots, key, chain = ((folder / n).read_bytes() for n in ("ca.crt", "client.key", "client.crt"))
        credentials = grpc.ssl_channel_credentials(roots, key, chain)
        async with grpc.aio.secure_channel(f"localhost:{served.port}", credentials) as channel:
            await listed(Client(channel))
        stranger = certs(harness, name="strangers")
        key, chain = ((stranger / n).read_bytes() for n in ("client.key", "client.crt"))
        credentials = grpc.ssl_channel_credentials(roots, key, chain)
        async with grpc.aio.secure_channel(f"localhost:{served.port}", credentials) as channel:
            with pytest.raises(Unavailable):
                await listed(Client(channel))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_versions_of_tls_are_not_spoken(harness: Harness) -> None:
    async with guarded(harness, tls=True, http="127.0.0.1:0") as served:
        for port in (served.port, int(harness.manager.http_address.rpartition(":")[2])):
            for version, fine in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
                assert await asyncio.to_thread(_speaks, port, version) is fine


def _speaks(port: int, version: ssl.TLSVersion) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        try:
            context.wrap_socket(connection, server_hostname="localhost").close()
        except (ssl.SSLError, ConnectionError):
            return False
        return True


async def test_http_needs_a_token_for_metrics_and_tells_strangers_little(harness: Harness) -> None:
    settings = {"tokens": table(harness), "http": "127.0.0.1:0"}
    async with guarded(harness, tls=True, **settings) as served, aiohttp.ClientSession() as session:
        port = harness.manager.http_address.rpartition(":")[2]
        tls = ssl.create_default_context(cadata=(served.roots or b"").decode())

        async def get(path: str, token: str = "", scheme: str = "Bearer") -> tuple[int, str]:
            headers = {"Authorization": f"{scheme} {token}"} if token else {}
            url = f"https://localhost:{port}{path}"
            async with session.get(url, headers=headers, ssl=tls) as answer:
                return answer.status, await answer.text()

        assert (await get("/metrics"))[0] == 401
        assert (await get("/metrics", ADMIN, "Basic"))[0] == 401
        assert (await get("/metrics", TEAM))[0] == 403
        status, page = await get("/metrics", READER)
        assert status == 200
        assert "e2e_queue_depth" in page
        assert await get("/healthz") == (200, "ok\n")
        await eventually(lambda: harness.manager._upkeep.engine_trouble == "")
        harness.driver.go_away()
        await eventually(lambda: harness.manager._upkeep.engine_trouble)
        assert await get("/readyz") == (503, "not ready\n")
        assert "does not answer" in (await get("/readyz", READER))[1]
