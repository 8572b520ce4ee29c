"""The connection to one engine, by two ways that share an endpoint, time limits and errors.

Short calls go through docker-py in a bounded pool of threads. What lasts (streams, stops with a grace
period, pulls, builds) goes through asyncio: docker-py can neither bound nor end those in time, and loses
the first output of a fast exec (its issue 3332).
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, TypeVar, cast

from docker import APIClient
from docker.constants import MINIMUM_DOCKER_API_VERSION

from e2e_controller.drivers.base import DriverError, EngineUnavailable
from e2e_controller.drivers.docker.endpoint import LOOPBACK, Endpoint, find_endpoint
from e2e_controller.drivers.docker.failures import EngineRefusal, to_driver_error
from e2e_controller.drivers.docker.hijack import Hijacked, hijack
from e2e_controller.drivers.docker.ports import address_of_host, binds_on
from e2e_controller.drivers.docker.sockets import OnePoolAdapter
from e2e_controller.drivers.docker.threads import DaemonPool
from e2e_controller.drivers.docker.tunnel import Tunnel
from e2e_controller.fairness import FairSemaphore

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
Observe = Callable[[str, float, bool], None]

_MARGIN = 1.0
"""Seconds that a call's thread has to report its own time-out, before it is left behind."""
_MESSAGE_LIMIT = 65536
_LOCAL_THREADS = 4
_SOCKET_SCHEME = "http+docker://"


class Engine:
    """Connects when first needed, and again by itself: each call stands alone."""

    def __init__(
        self,
        engine: str | None,
        parallelism: int,
        call_timeout: float,
        observe: Observe | None,
        publish_address: str = "",
    ) -> None:
        self._engine = engine
        self._publish_address = publish_address
        self._parallelism = parallelism
        self.call_timeout = call_timeout
        self._observe = observe or (lambda _name, _seconds, _ok: None)
        self._pool = DaemonPool(parallelism, "engine")
        self._local_pool = DaemonPool(_LOCAL_THREADS, "local")
        self._slots = FairSemaphore(parallelism)
        """A call's time counts from when it gets a thread; environments take turns."""
        self._connecting = asyncio.Lock()
        self._client: APIClient | None = None
        self._session: aiohttp.ClientSession | None = None
        self._endpoint: Endpoint | None = None
        self._tunnel: Tunnel | None = None
        self._version = ""
        self._program = ""
        self._closed = False

    @property
    def endpoint(self) -> Endpoint:
        """Where the engine is. Raises `EngineUnavailable` where none is named properly."""
        if self._endpoint is None:
            self._endpoint = find_endpoint(self._engine, os.environ)
        return self._endpoint

    @property
    def publish_address(self) -> str:
        """The address of the engine's machine that published ports bind to; known once it is connected."""
        return self._publish_address or LOOPBACK

    def binds(self, port: int, protocol: str) -> bool:
        """Whether nothing has that port now, as far as this machine can tell."""
        if self.endpoint.is_ssh:
            return binds_on(LOOPBACK, port, protocol)  # where it is to be brought
        return not self.endpoint.is_local or binds_on(self.publish_address, port, protocol)

    async def reach(self, ports: Iterable[int], wanted: Iterable[int]) -> bool:
        """Whether published TCP ports are reached from here; ssh brings them, and keeps the `wanted` ones."""
        return self._tunnel is None or await self._tunnel.bring(ports, wanted)

    async def connect(self) -> APIClient:
        """Connects unless it is connected. Raises `EngineUnavailable`."""
        async with self._connecting:
            if self._closed:
                raise EngineUnavailable("the connection to the engine is closed")
            if self.endpoint.is_ssh:
                self._tunnel = self._tunnel or Tunnel(self.endpoint, self.call_timeout)
                await self._tunnel.open()
            if self._client is None:
                self._client = await self._in_thread("connect", "connect", self._make_client)
            return self._client

    async def close(self) -> None:
        """Ends all connections; threads that wait for a hung engine are left behind."""
        self._closed = True
        for pool in (self._pool, self._local_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._session is not None:
            await self._session.close()
        if self._client is not None:
            self._client.close()
        if self._tunnel is not None:
            await self._tunnel.close()

    async def call(
        self, name: str, function: Callable[[APIClient], T], what: str = "", *, environment: str = ""
    ) -> T:
        """Runs a short call in a thread. `what` names it in errors, `name` in metrics."""
        client = await self._connected()
        return await self._in_thread(name, what or name, lambda: function(client), environment)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Runs what blocks but is no call to the engine, in threads that calls do not need."""
        return await asyncio.get_running_loop().run_in_executor(self._local_pool, function)

    @asynccontextmanager
    async def request(
        self,
        name: str,
        method: str,
        path: str,
        *,
        within: float | None = None,
        what: str = "",
        **options: Any,
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """Sends a request of any length; its answer must begin `within` seconds, and may then last.

        Faults while the body is read are the driver's errors too.
        """
        client = await self._connected()
        url, seconds = f"/v{client.api_version}{path}", within or self.call_timeout
        began, answered = time.monotonic(), False
        try:
            async with asyncio.timeout(seconds):
                session = await self._open_session()
                response = await session.request(method, url, **options)
            async with response:
                if response.status >= 400:
                    async with asyncio.timeout(self.call_timeout):
                        body = await response.content.read(_MESSAGE_LIMIT)
                    raise EngineRefusal.from_answer(response.status, body)
                answered = True
                self._tell(name, time.monotonic() - began, True)
                yield response
        except Exception as error:
            raise await self._failure(what or name, error, seconds) from error
        finally:
            if not answered:
                self._tell(name, time.monotonic() - began, False)

    async def upgrade(self, name: str, path: str, body: Mapping[str, Any]) -> Hijacked:
        """Sends a request that turns the connection into a raw stream."""
        client = await self._connected()
        began, answered = time.monotonic(), False
        try:
            async with asyncio.timeout(self.call_timeout):
                stream = await hijack(self._way, f"/v{client.api_version}{path}", json.dumps(body).encode())
            answered = True
        except Exception as error:
            raise await self._failure(name, error, self.call_timeout) from error
        finally:
            self._tell(name, time.monotonic() - began, answered)
        return stream

    async def _connected(self) -> APIClient:
        broken = self._tunnel is not None and not self._tunnel.is_open
        return await self.connect() if self._client is None or broken else self._client

    async def _failure(self, what: str, error: Exception, seconds: float) -> DriverError:
        failure = to_driver_error(what, error, self.endpoint, seconds, self._version)
        if self._tunnel is None or not isinstance(failure, EngineUnavailable):
            return failure
        return await self._tunnel.explain(what) or failure

    async def _in_thread(self, name: str, what: str, function: Callable[[], T], environment: str = "") -> T:
        async with self._slots.turn(environment):
            began, answered = time.monotonic(), False
            try:
                async with asyncio.timeout(self.call_timeout + _MARGIN):
                    result = await asyncio.get_running_loop().run_in_executor(self._pool, function)
                answered = True
            except Exception as error:
                raise await self._failure(what, error, self.call_timeout) from error
            finally:
                self._tell(name, time.monotonic() - began, answered)
            return result

    def _tell(self, name: str, seconds: float, answered: bool) -> None:
        self._observe(name.replace(" ", "_"), seconds, answered)

    async def _open_session(self) -> "aiohttp.ClientSession":
        """Opened by the first request: to load its library takes 0.1 s, which a start does not wait for."""
        if self._session is None:
            open_session = await self.in_thread(_load_sessions)
            if self._closed:
                raise EngineUnavailable("the connection to the engine is closed")
            self._session = self._session or open_session(self._way, self.call_timeout)
        return self._session

    @property
    def version(self) -> str:
        """Docker Engine's, such as `20.10.24`; empty before the first call, and for another program."""
        return self._version

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman that answers, as far as it was asked."""
        return self._program.startswith("Podman")

    @property
    def _way(self) -> Endpoint:
        """Where connections go."""
        return self.endpoint if self._tunnel is None else self._tunnel.near_end

    def _make_client(self) -> APIClient:
        """Asks the engine for its version, so this is where it shows whether it is there."""
        with closing(self._client_of(MINIMUM_DOCKER_API_VERSION)) as client:
            version = client.version(api_version=False)
        components = version.get("Components") or [{}]
        self._program = str(components[0].get("Name", ""))
        self._version = "" if self.is_podman else str(version.get("Version", ""))
        if not self._publish_address and not (self.endpoint.is_local or self.endpoint.is_ssh):
            self._publish_address = address_of_host(self.endpoint.host)
        return self._client_of(str(version["ApiVersion"]))

    def _client_of(self, version: str) -> APIClient:
        way, timeout = self._way, cast("int", self.call_timeout)
        client = APIClient(
            base_url=way.url,
            version=version,
            timeout=timeout,
            tls=way.docker_tls(),
            max_pool_size=self._parallelism,
        )
        # Else REQUESTS_CA_BUNDLE wins against the engine's own CA; and to look for proxies costs each call.
        client.trust_env = False
        if way.socket_path:
            url = f"http+unix://{way.socket_path}"
            client.mount(_SOCKET_SCHEME, OnePoolAdapter(url, timeout, max_pool_size=self._parallelism))
        return client


def _load_sessions() -> Callable[[Endpoint, float], "aiohttp.ClientSession"]:
    from e2e_controller.drivers.docker.sessions import open_session

    return open_session
