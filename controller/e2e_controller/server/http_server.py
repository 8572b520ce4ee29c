"""HTTP: /metrics, /healthz, /readyz."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from aiohttp import web

_HEALTHZ, _READYZ, _METRICS = "/healthz", "/readyz", "/metrics"


class HttpServer:
    """Serves the controller's own metrics and health."""

    def __init__(self, registry: CollectorRegistry, not_ready: Callable[[], str]) -> None:
        """`not_ready` gives the reason why the controller cannot do its work now, or nothing."""
        self._registry = registry
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None

    async def start(self, address: str) -> str:
        """Listens on `host:port`; returns it with the real port. Raises OSError."""
        from aiohttp import web  # here: an embedded controller serves no HTTP, and shall start fast

        application = web.Application()
        application.router.add_get(_METRICS, self._metrics)
        application.router.add_get(_HEALTHZ, self._healthz)
        application.router.add_get(_READYZ, self._readyz)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        host, _, port = address.rpartition(":")
        await web.TCPSite(self._runner, host.strip("[]") or "127.0.0.1", int(port)).start()
        bound = self._runner.addresses[0]
        return f"{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _healthz(self, _: "web.Request") -> "web.Response":
        from aiohttp import web

        return web.Response(text="ok\n")

    async def _readyz(self, _: "web.Request") -> "web.Response":
        from aiohttp import web

        reason = self._not_ready()
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)
