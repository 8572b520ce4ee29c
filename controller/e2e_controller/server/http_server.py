"""HTTP: /metrics, /healthz, /readyz."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from e2e_api.addresses import host_and_port
from e2e_api.errors import Unauthenticated
from e2e_controller.server.callers import ANYBODY, Caller
from e2e_controller.server.protection import Protection

if TYPE_CHECKING:
    from aiohttp import web

_HEALTHZ, _READYZ, _METRICS = "/healthz", "/readyz", "/metrics"


MOST_CONNECTIONS = 100
REAP_SECONDS = 60.0
_HANDSHAKE_SECONDS = 10.0
_STOP_SECONDS = 1.0
"""For answers that are under way at the end; those to wrong tokens are slow."""


class _Refusal(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class HttpServer:
    """Serves the controller's own metrics and health."""

    def __init__(
        self, registry: CollectorRegistry, not_ready: Callable[[], str], protection: Protection
    ) -> None:
        """`not_ready` gives the reason why the controller cannot do its work now, or nothing."""
        self._registry = registry
        self._tokens = protection.tokens
        self._refusals = protection.guard.refusals
        self._certificates = protection.certificates
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._reaping: asyncio.Task[None] | None = None

    async def start(self, address: str) -> str:
        """Listens on `host:port`; returns it with the real port. Raises OSError."""
        from aiohttp import web  # here: an embedded controller serves no HTTP, and shall start fast

        application = web.Application()
        application.router.add_get(_METRICS, self._metrics)
        application.router.add_get(_HEALTHZ, self._healthz)
        application.router.add_get(_READYZ, self._readyz)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_STOP_SECONDS)
        await self._runner.setup()
        host, _, port = address.rpartition(":")
        tls = self._certificates.ssl_context() if self._certificates is not None else None
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept,
            host.strip("[]") or "127.0.0.1",
            int(port),
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
        )
        self._reaping = asyncio.create_task(self._reap())
        bound = self._listener.sockets[0].getsockname()
        return host_and_port(bound[0], bound[1])

    async def stop(self) -> None:
        """Stops listening."""
        if self._reaping is not None:
            self._reaping.cancel()
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= MOST_CONNECTIONS:
            return _Refusal()
        return server()

    async def _reap(self) -> None:
        """Closes what has been open for long: who asks nothing would hold it for ever."""
        before: set[web.RequestHandler] = set()
        while self._runner is not None and self._runner.server is not None:
            now = set(self._runner.server.connections)
            for connection in now & before:
                connection.force_close()  # what was answered is still sent
            before = now
            await asyncio.sleep(REAP_SECONDS)

    async def _metrics(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"}, text="a token is asked for\n")
        if caller.prefixes is not None:
            raise web.HTTPForbidden(text="these metrics are of all environments, and this token is not\n")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _healthz(self, _: "web.Request") -> "web.Response":
        from aiohttp import web

        return web.Response(text="ok\n")

    async def _readyz(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        reason = self._not_ready()
        if reason and await self._caller(request, asked=False) is None:
            reason = "not ready"  # why is for those who have a token
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

    async def _caller(self, request: "web.Request", *, asked: bool = True) -> Caller | None:
        """Who shows a token; anybody where none is needed. None, and slowed down, for who shows a wrong one.

        `asked`: also for who shows none.
        """
        if self._tokens is None:
            return ANYBODY
        shown = request.headers.getall("Authorization", [])
        scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        caller = self._tokens.find(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None and (shown or asked):
            error = Unauthenticated("no right token", reason="TokenUnknown" if shown else "TokenMissing")
            self._refusals.count(error)
            await self._refusals.slow_down(error, f"{request.remote}, by HTTP")
        return caller
