"""Controllers that are reached over TLS, with a token; and what errors say where it does not come about."""

import logging
import os
import ssl
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

import e2e
from e2e import certificates, handshake
from e2e.addresses import Target, parse, resolve
from e2e.credentials import Credentials
from e2e_api.errors import InvalidArgument, LimitExceeded, Unauthenticated, Unavailable
from e2e_api.v1 import manifest_service_pb2

from .fake_controller import FakeController

TOKEN = "token-0123456789abcdef"
WITH_CA = Credentials(ca_file="/ca")
VARIABLES = ("TOKEN", "TOKEN_FILE", "CA_FILE", "CLIENT_CERT", "CLIENT_KEY", "CONTROLLER")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"E2E_{name}", raising=False)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server has to say of a handshake may come late."""
    monkeypatch.setattr(handshake, "_SECONDS", 60.0)
    monkeypatch.setattr(handshake, "_ANSWER_SECONDS", 60.0)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    certificates.make(folder, ["localhost", "127.0.0.1"], client="ci", days=30)
    return folder


def credentials_of(folder: Path, *, asks_clients: bool = False) -> grpc.ServerCredentials:
    pair = ((folder / "server.key").read_bytes(), (folder / "server.crt").read_bytes())
    roots = (folder / "ca.crt").read_bytes() if asks_clients else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=asks_clients)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[FakeController, str]]]:
    started: list[FakeController] = []

    def serve(credentials: grpc.ServerCredentials | None = None) -> tuple[FakeController, str]:
        started.append(FakeController(tmp_path / "shared"))
        return started[-1], started[-1].start_on_tcp(credentials)

    yield serve
    for controller in started:
        controller.stop()


def ask(controller: e2e.Controller | str | None) -> None:
    with e2e.Client.connect(controller) as client:
        client.list_environments()


async def ask_async(controller: e2e.Controller | str | None) -> None:
    async with await e2e.AsyncClient.connect(controller) as client:
        await client.list_environments()


def test_a_token_goes_over_tls(serve: Any, certs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    controller, address = serve(credentials_of(certs))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    ask(e2e.Controller(address, token=TOKEN, ca_file=certs / "ca.crt"))
    monkeypatch.setenv("E2E_CONTROLLER", address)
    monkeypatch.setenv("E2E_CA_FILE", str(certs / "ca.crt"))
    monkeypatch.setenv("E2E_TOKEN_FILE", str(tmp_path / "token"))
    ask(None)
    (tmp_path / "token").write_text(f"{TOKEN}-renewed\n")
    ask(None)
    ask(e2e.Controller(token=f"{TOKEN}-given"))
    shown = [metadata["authorization"].removeprefix("Bearer ") for metadata in controller.metadata]
    assert shown == [TOKEN, TOKEN, f"{TOKEN}-renewed", f"{TOKEN}-given"]


async def test_the_asynchronous_client_does_the_same(serve: Any, certs: Path) -> None:
    controller, address = serve(credentials_of(certs))
    await ask_async(e2e.Controller(address, token=TOKEN, ca_file=certs / "ca.crt"))
    assert controller.metadata[-1]["authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(Unavailable, match="it speaks TLS"):
        await ask_async(address)


def test_an_environment_takes_the_controller_with_its_credentials(serve: Any, certs: Path) -> None:
    controller, address = serve(credentials_of(certs))
    named = e2e.Controller(address, token=TOKEN, ca_file=certs / "ca.crt")
    with e2e.Environment("secure", controller=named) as env:
        env.statuses()
    assert {metadata["authorization"] for metadata in controller.metadata} == {f"Bearer {TOKEN}"}


@pytest.mark.usefixtures("no_variables")
def test_over_a_unix_socket_no_token_is_sent(controller: FakeController, monkeypatch: Any) -> None:
    address = os.environ["E2E_CONTROLLER"]
    monkeypatch.setenv("E2E_TOKEN", TOKEN)
    monkeypatch.setenv("E2E_CA_FILE", "/nowhere")
    ask(address)
    assert "authorization" not in controller.metadata[-1]


@pytest.mark.parametrize(
    ("text", "credentials", "expected"),
    [
        ("a:1", Credentials(), Target("dns:a:1")),
        ("grpc://a:1", Credentials(), Target("dns:a:1")),
        ("grpcs://a:1", Credentials(), Target("dns:a:1", tls=True)),
        ("grpcs://[::1]:1", Credentials(), Target("dns:[::1]:1", tls=True)),
        ("a:1", WITH_CA, Target("dns:a:1", tls=True, credentials=WITH_CA)),
        ("127.0.0.1:1", Credentials("t"), Target("dns:127.0.0.1:1", credentials=Credentials("t"))),
    ],
)
def test_when_tls_is_used(text: str, credentials: Credentials, expected: Target) -> None:
    assert parse(text, credentials) == expected


@pytest.mark.parametrize(
    "address", ["ci.example:1", "grpc://10.0.0.1:1", "127.0.0.1.example.com:1", "0.0.0.0:1", "[fd00::1]:1"]
)
def test_no_token_is_sent_in_the_clear(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2E_TOKEN", TOKEN)
    with pytest.raises(InvalidArgument, match=r"is not sent to .* without TLS") as refused:
        resolve(address)
    assert TOKEN not in str(refused.value)
    assert resolve("grpcs://ci.example:1").tls


@pytest.mark.parametrize("address", ["https://a:1", "grpcs://user@a:1", "grpcs://a:1/x", "grpcs://a"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a controller's address"):
        parse(address)


@pytest.mark.parametrize("address", [f"grpcs://{TOKEN}@a:1", f"https://u:/{TOKEN}@a:1", f"{TOKEN}@a:1"])
def test_a_token_in_an_address_is_not_told(address: str) -> None:
    with pytest.raises(InvalidArgument, match=r"\.\.\.@a:1' is not a controller's address") as wrong:
        parse(address)
    assert TOKEN not in str(wrong.value)


@pytest.mark.parametrize("token", ["with space", "two\nlines", "ünïcode", "\x00"])
def test_what_is_no_token_is_not_quoted(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    with pytest.raises(InvalidArgument, match="has no token") as wrong:
        Credentials(token_file=str(tmp_path / "token")).metadata()
    assert token not in str(wrong.value)
    with pytest.raises(InvalidArgument, match="E2E_TOKEN has no token"):
        Credentials(token=token).metadata()


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"token": "a", "token_file": "b"}, r"not both \(E2E_TOKEN, E2E_TOKEN_FILE\)"),
        ({"client_cert": "a"}, r"belong together \(E2E_CLIENT_CERT, E2E_CLIENT_KEY\)"),
        ({"ca_file": "/nowhere"}, r"cannot read /nowhere \(E2E_CA_FILE\): No such file"),
        ({"token_file": "/nowhere"}, r"cannot read /nowhere \(E2E_TOKEN_FILE\): No such file"),
    ],
)
def test_wrong_credentials_name_their_variable(credentials: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        ask(e2e.Controller("grpcs://localhost:1", **credentials))


def test_a_token_is_in_no_text(serve: Any, certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    controller, address = serve(credentials_of(certs))

    def refuse(_: Any) -> Iterator[Any]:
        raise Unauthenticated("no")
        yield

    controller.answers["ListEnvironments"] = refuse
    named = e2e.Controller(address, token=TOKEN, ca_file=certs / "ca.crt")
    with pytest.raises(Unauthenticated) as refused:
        ask(named)
    told = "".join(traceback.format_exception(refused.value))
    target = resolve(named)
    assert TOKEN not in f"{told} {named!r} {target!r} {named.credentials!r} {caplog.text}"


def test_what_is_wrong_with_tls_is_said(serve: Any, certs: Path, tmp_path: Path) -> None:
    def why(controller: e2e.Controller | str) -> str:
        with pytest.raises(Unavailable) as refused:
            ask(controller)
        return str(refused.value)

    other, old, wrong = tmp_path / "other", tmp_path / "old", tmp_path / "wrong"
    certificates.make(other, ["localhost"], client="ci", days=30)
    long_ago = datetime.now(UTC) - timedelta(days=90)
    certificates.make(old, ["localhost"], client="ci", days=30, now=long_ago)
    certificates.make(wrong, ["elsewhere.example"], client="ci", days=30)
    (tmp_path / "rubbish").write_text("no certificate")

    _, tls = serve(credentials_of(certs))
    _, plain = serve()
    _, expired = serve(credentials_of(old))
    _, misnamed = serve(credentials_of(wrong))
    _, strict = serve(credentials_of(certs, asks_clients=True))

    def at(address: str, folder: Path = certs, **more: Any) -> str:
        return why(e2e.Controller(address, ca_file=folder / "ca.crt", **more))

    assert f"{tls} does not answer: it speaks TLS: set E2E_CA_FILE" in why(tls)
    assert f"is not signed by {other}/ca.crt: set E2E_CA_FILE to the certificate of its CA" in at(tls, other)
    assert "is not signed by the system's CAs: set E2E_CA_FILE" in why(f"grpcs://{tls}")
    assert "it speaks no TLS there: unset E2E_CA_FILE" in at(plain)
    assert "has expired: `e2e certs` renews its own" in at(expired, old)
    assert "is not for localhost: `e2e certs --host localhost` makes one" in at(misnamed, wrong)
    assert "asks for a client's certificate: set E2E_CLIENT_CERT and E2E_CLIENT_KEY" in at(strict)
    strange = {"client_cert": other / "client.crt", "client_key": other / "client.key"}
    assert "does not accept the client's certificate: E2E_CLIENT_CERT" in at(strict, **strange)
    ask(
        e2e.Controller(
            strict,
            ca_file=certs / "ca.crt",
            client_cert=certs / "client.crt",
            client_key=certs / "client.key",
        )
    )
    rubbish = e2e.Controller(tls, ca_file=tmp_path / "rubbish")
    assert "E2E_CA_FILE, E2E_CLIENT_CERT or E2E_CLIENT_KEY is no file of certificates" in why(rubbish)


@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"])
def test_no_tls_is_said_whatever_openssl_calls_it(serve: Any, monkeypatch: Any, reason: str) -> None:
    class Context:
        def wrap_socket(self, *_: Any, **__: Any) -> None:
            error = ssl.SSLError(1, reason)
            error.reason = reason
            raise error

    monkeypatch.setattr(handshake, "_context", lambda _: Context())
    _, plain = serve()
    assert "it speaks no TLS there" in handshake.explain(Target(f"dns:{plain}", tls=True))


def test_calls_that_came_too_fast_are_made_again(serve: Any) -> None:
    controller, address = serve()
    times = 0

    def limited(request: Any) -> Iterator[Any]:
        nonlocal times
        times += 1
        if times < 3:
            raise LimitExceeded("too fast", reason="RateLimited")
        yield manifest_service_pb2.ListResponse()

    controller.answers["List"] = limited
    with e2e.Client.connect(address) as client:
        assert client.list_objects() == []
    assert times == 3
