"""What tests of the transport need: certificates, tokens, and clients over TCP."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from e2e import certificates
from e2e_api.v1 import manifest_service_pb2 as manifests

from .conftest import Client, Harness, checked

ADMIN, READER, TEAM, LOOKER = (f"{name}-0123456789abcdef" for name in ("admin", "reader", "team", "looker"))
TOKENS = f"""\
- {{name: admin, token: {ADMIN}}}
- {{name: reader, token: {READER}, readOnly: true}}
- {{name: team, token: {TEAM}, environments: [test, team-]}}
- {{name: looker, token: {LOOKER}, environments: [test], readOnly: true}}
"""


@dataclass(frozen=True)
class Guarded:
    """A controller that listens on a Unix socket and on TCP."""

    harness: Harness
    local: Client
    """Over the Unix socket."""
    roots: bytes | None

    @property
    def address(self) -> str:
        return self.harness.manager.addresses[1]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @asynccontextmanager
    async def channel(self, **options: Any) -> AsyncIterator[grpc.aio.Channel]:
        settings = [("grpc.use_local_subchannel_pool", 1), *options.items()]
        if self.roots is None:
            opened = grpc.aio.insecure_channel(self.address, options=settings)
        else:
            credentials = grpc.ssl_channel_credentials(self.roots)
            opened = grpc.aio.secure_channel(f"localhost:{self.port}", credentials, options=settings)
        async with opened as channel:
            yield channel

    @asynccontextmanager
    async def client(self, token: str = "", **options: Any) -> AsyncIterator[Client]:
        """Stubs whose calls carry the token."""
        async with self.channel(**options) as channel:
            yield Client(WithMetadata(channel, bearer(token)) if token else channel)  # type: ignore[arg-type]


class WithMetadata:
    """A channel whose calls carry metadata."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        self._channel = channel
        self._metadata = metadata

    def __getattr__(self, shape: str) -> Any:
        def make(*arguments: Any, **options: Any) -> Any:
            method = getattr(self._channel, shape)(*arguments, **options)
            return lambda *given, **rest: method(*given, metadata=self._metadata, **rest)

        return make


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def guarded(harness: Harness, *, tls: bool = False, **settings: Any) -> AsyncIterator[Guarded]:
    """A controller with both kinds of sockets; with `tls`, certificates are in `certs` beside its state."""
    roots = None
    if tls:
        folder = certs(harness)
        roots = (folder / "ca.crt").read_bytes()
        settings |= {"tls_cert": folder / "server.crt", "tls_key": folder / "server.key"}
    listen = [f"unix://{harness.state}/controller.sock", "127.0.0.1:0"]
    async with harness.running(listen=listen, **settings) as local:
        yield Guarded(harness, local, roots)


def certs(harness: Harness, *hosts: str, name: str = "certs") -> Path:
    folder: Path = harness.state.with_name(name)
    certificates.make(folder, hosts or ("localhost", "127.0.0.1"), client="ci", days=30)
    return folder


def table(harness: Harness, text: str = TOKENS) -> Path:
    """The file of `--tokens`."""
    path: Path = harness.state.with_name("tokens.yaml")
    path.write_text(text)
    path.chmod(0o600)
    return path


def each_method() -> Iterator[str]:
    """The full names of all RPCs of ours."""
    from e2e_controller.server import grpc_server

    for name in grpc_server._SERVICES:
        service = name.rpartition(".")[2]
        module = getattr(grpc_server, f"{service.removesuffix('Service').lower()}_service_pb2")
        for method in module.DESCRIPTOR.services_by_name[service].methods:
            yield f"/{name}/{method.name}"


async def listed(client: Client) -> Any:
    return await checked(client.manifests.List(manifests.ListRequest(), timeout=20))


async def read_on(call: Any) -> None:
    """Reads until the call ends."""
    while await call.read() is not grpc.aio.EOF:
        pass
