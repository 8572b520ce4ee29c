"""Who is let in over TCP, how much they get, and what renews without a restart."""

import asyncio
import logging
import re
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import ValidationError

from e2e_api.errors import LimitExceeded, PermissionDenied, Unauthenticated, Unavailable, from_rpc_error
from e2e_api.v1 import environment_service_pb2 as environments
from e2e_api.v1 import manifest_service_pb2 as manifests
from e2e_controller.server import http_server, renewal
from e2e_controller.settings import Settings, describe
from e2e_controller.starting import StartError

from .conftest import Client, Harness, checked, document, eventually
from .transport import ADMIN, READER, TEAM, TOKENS, bearer, certs, guarded, table


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("E2E_TOKEN", "E2E_TOKEN_FILE", "E2E_TLS_CERT", "E2E_TLS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(renewal, "INTERVAL", 0.02)


async def listed(client: Client) -> Any:
    return await checked(client.manifests.List(manifests.ListRequest(), timeout=20))


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
            await checked(_read_on(hold))
        with pytest.raises(Unauthenticated):
            await listed(client)
        await listed(reader)
        assert not watch.done()
        watch.cancel()
        async with served.client("another-0123456789abcdef") as renewed:
            await listed(renewed)


async def _read_on(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_broken_file_of_tokens_leaves_the_old_in_force(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    file = table(harness)
    async with guarded(harness, tokens=file) as served, served.client(ADMIN) as client:
        file.write_text("- {name: x, token: short}\n")
        await eventually(lambda: "a token of less than 16 characters can be guessed" in caplog.text)
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
        except ssl.SSLError:
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


async def test_a_client_has_so_many_calls_at_once(harness: Harness) -> None:
    settings = {"tokens": table(harness), "calls_per_client": 3}
    async with guarded(harness, **settings) as served, served.client(TEAM) as client:
        watches = [client.manifests.Watch(manifests.WatchRequest()) for _ in range(3)]
        for watch in watches:
            await watch.read()
        with pytest.raises(LimitExceeded, match="client team has 3 calls under way") as refused:
            await listed(client)
        assert refused.value.reason == "TooManyCalls"
        async with served.client(ADMIN) as other:
            await listed(other)
        watches[0].cancel()
        await eventually(lambda: harness.manager._server.calls == 2)
        await listed(client)


async def test_a_client_that_asks_too_fast_is_told_when_to_come_again(harness: Harness) -> None:
    settings = {"tokens": table(harness), "call_rate": 0.5}
    async with guarded(harness, **settings) as served, served.client(TEAM) as client:
        await listed(client)
        call = client.manifests.List(manifests.ListRequest(), timeout=20)
        with pytest.raises(grpc.RpcError) as refused:
            await call
        error = from_rpc_error(refused.value)
        assert (error.reason, error.action) == ("RateLimited", "retry")
        pushback = dict(await call.trailing_metadata())["grpc-retry-pushback-ms"]
        assert 0 < int(pushback) <= 2000
        async with served.client(ADMIN) as other:
            await listed(other)
        await listed(served.local)


async def test_a_client_that_does_not_read_is_cut_off(harness: Harness) -> None:
    narrow = {"grpc.http2.bdp_probe": 0}  # it takes 64 KiB before it must read
    async with guarded(harness, stall_timeout=0.2) as served, served.client(**narrow) as client:
        watch = client.manifests.Watch(manifests.WatchRequest())
        await watch.read()
        names = [f"web-{number}" for number in range(5)]
        await served.local.apply(*(document(name, env={"FILLER": "x" * 200_000}) for name in names))
        await eventually(lambda: harness.manager._server.calls == 0)
        with pytest.raises(LimitExceeded, match="has not read what it asked for") as cut:
            await checked(_read_on(watch))
        assert cut.value.reason == "Stalled"


async def test_a_request_that_does_not_come_is_counted_and_ends(harness: Harness) -> None:
    settings = {"tokens": table(harness), "stall_timeout": 1.0, "calls_per_client": 1}
    async with guarded(harness, **settings) as served, served.channel() as channel:

        async def never() -> Any:
            await asyncio.Event().wait()
            yield b""

        call = channel.stream_unary("/e2e.v1.ManifestService/Get")(never(), metadata=bearer(TEAM))
        await eventually(lambda: harness.manager._server.calls == 1)
        async with served.client(TEAM) as client:
            with pytest.raises(LimitExceeded, match="1 calls under way"):
                await listed(client)
        with pytest.raises(LimitExceeded, match="has not come whole within 1 s"):
            await checked(call)


@pytest.mark.parametrize("requests", [[], [b"\xff\xff\xff"]])
async def test_what_is_no_request_is_refused(harness: Harness, requests: list[bytes]) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.channel() as channel:
        for method in ("ManifestService/Get", "ManifestService/Watch"):
            call = channel.stream_unary(f"/e2e.v1.{method}")(
                iter(requests), metadata=bearer(TEAM), timeout=20
            )
            with pytest.raises(grpc.RpcError) as refused:
                await call
            code = refused.value.code()
            assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)


async def test_connections_are_bounded(harness: Harness) -> None:
    async with guarded(harness, max_connections=2) as served:
        opened = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(6)]

        async def is_closed(reader: asyncio.StreamReader) -> bool:
            try:
                async with asyncio.timeout(0.5):
                    while await reader.read(1000):  # the server's settings come first
                        pass
            except (TimeoutError, ConnectionError) as error:
                return isinstance(error, ConnectionError)
            return True

        closed = await asyncio.gather(*(is_closed(reader) for reader, _ in opened))
        assert closed.count(False) == 2
        for _, writer in opened:
            writer.close()


async def test_connections_to_http_are_bounded_and_end(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(http_server, "REAP_SECONDS", 0.3)
    async with guarded(harness, http="127.0.0.1:0"), aiohttp.ClientSession() as session:
        host, _, port = harness.manager.http_address.rpartition(":")
        opened = []
        for _ in range(2):
            opened.append(await asyncio.open_connection(host, int(port)))
            await asyncio.sleep(0.02)
        opened[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")  # and never its end
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b""  # one too many
        for reader, _ in opened:
            assert await asyncio.wait_for(reader.read(), 20) == b""
        async with session.get(f"http://{harness.manager.http_address}/healthz") as answer:
            assert answer.status == 200
        for closed in (writer, *(writer for _, writer in opened)):
            closed.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"listen": ["0.0.0.0:0"]}, "can be reached from other machines: give --tls-cert"),
        ({"listen": ["127.0.0.1.example.com:1"]}, "can be reached from other machines"),
        ({"listen": ["[::]:0"], "token_file": "/t"}, "give --tls-cert and --tls-key, which"),
        ({"http": "0.0.0.0:0", "tls_cert": "/c", "tls_key": "/k"}, r"give a token \(--token-file"),
        ({"tls_cert": "/c"}, "--tls-cert and --tls-key belong together"),
        ({"tls_key": "/k"}, "--tls-cert and --tls-key belong together"),
        ({"tls_client_ca": "/c"}, "certificates of clients are for TLS"),
    ],
)
def test_what_does_not_protect_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Settings(**settings)
    assert re.search(message, describe(wrong.value))


async def test_beyond_loopback_needs_both_or_warns_at_each_start(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    listen = [f"unix://{harness.state}/controller.sock", "0.0.0.0:0"]
    folder = certs(harness)
    protected = {
        "tokens": table(harness),
        "tls_cert": folder / "server.crt",
        "tls_key": folder / "server.key",
    }
    async with harness.running(listen=listen, **protected):
        assert "can be reached" not in caplog.text
    for settings, missing in (
        ({}, "without TLS and without a token"),
        ({"tokens": table(harness)}, "without TLS:"),
    ):
        for _ in range(2):
            caplog.clear()
            async with harness.running(listen=listen, insecure=True, **settings):
                assert missing in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "there is no token in it"),
        ("", "Input should be a valid list"),
        (
            "- {name: a, token: 0123456789abcdef}\n- {name: a, token: 1123456789abcdef}",
            "two tokens are called a",
        ),
        (
            "- {name: a, token: 0123456789abcdef}\n- {name: b, token: 0123456789abcdef}",
            "twice, under two names",
        ),
        (
            "- {name: a, token: 0123456789abcdef, environments: []}",
            "0.environments: List should have at least 1",
        ),
        ("- {name: a, token: 0123456789abcdef, environments: ['']}", "0.environments.0: String should match"),
        (
            "- {name: a, token: 0123456789abcdef, readonly: true}",
            "0.readonly: Extra inputs are not permitted",
        ),
        ("- {name: a}", "0: give exactly one of token, tokenFile and sha256"),
        ("- {name: a, tokenFile: nowhere}", "cannot read .*nowhere: No such file"),
        ("- {name: a, token: 'with space 0123456'}", "visible ASCII characters, without spaces"),
        ("- {name: a, sha256: abc}", "0.sha256: String should match pattern"),
        ("{", "not YAML"),
    ],
)
async def test_wrong_files_of_tokens_are_named(harness: Harness, text: str, message: str) -> None:
    with pytest.raises(StartError, match=message) as wrong:
        async with guarded(harness, tokens=table(harness, text)):
            pass
    assert "0123456789abcdef" not in str(wrong.value)


async def test_tokens_by_digest_and_by_file(harness: Harness) -> None:
    import hashlib

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


async def test_variables_for_clients_are_no_trouble_on_a_unix_socket(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2E_TOKEN_FILE", "/nowhere")
    monkeypatch.setenv("E2E_TOKEN", "short")
    async with harness.running() as client:
        await listed(client)


async def test_files_that_others_can_read_are_told_of(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    file = table(harness)
    file.chmod(0o644)
    async with guarded(harness, tls=True, tokens=file):
        pass
    assert f"{file} is secret, and others can read or change it: chmod 600" in caplog.text
    assert "server.key is secret" not in caplog.text


async def test_a_folder_for_the_key_that_is_missing(harness: Harness) -> None:
    folder = certs(harness)
    (folder / "server.key").unlink()
    with pytest.raises(StartError, match=r"cannot read .*server.key: No such file"):
        async with guarded(harness, tls_cert=folder / "server.crt", tls_key=folder / "server.key"):
            pass
