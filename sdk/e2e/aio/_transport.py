"""The few primitives that differ between the asynchronous client and the synchronous one.

Everything else in this package is written once, and `e2e._sync` is generated from it. This module has a
twin of the same shape, kept by hand: `e2e._sync._transport`.
"""

from __future__ import annotations  # gRPC's generic types exist for type checkers only

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Generic, ParamSpec, TypeVar

import grpc

from e2e.addresses import Target
from e2e.failures import cut_off, may_be_explained, typed_error
from e2e.standing import caller_metadata
from e2e_api.errors import Unavailable, WaitTimeout
from e2e_api.v1.container_service_pb2_grpc import ContainerServiceStub
from e2e_api.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from e2e_api.v1.event_service_pb2_grpc import EventServiceStub
from e2e_api.v1.evidence_service_pb2_grpc import EvidenceServiceStub
from e2e_api.v1.manifest_service_pb2_grpc import ManifestServiceStub
from e2e_api.v1.metric_service_pb2_grpc import MetricServiceStub
from e2e_api.v1.wait_service_pb2_grpc import WaitServiceStub

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_MISSED_SECONDS = 0.5
"""Until a signal is noticed that came just before the event loop blocked: it interrupts nothing."""


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Runs what blocks without blocking the event loop."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def pause(seconds: float) -> None:
    """Lets time pass."""
    await asyncio.sleep(seconds)


class AsyncFlag:
    """What happens once, and can be waited for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """It has happened."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._event.is_set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Waits for it, so many seconds at most; whether it has happened."""
        try:
            async with asyncio.timeout(seconds):
                return await self._event.wait()
        except TimeoutError:
            return False


class AsyncEnding:
    """What ends a long run: may be told in any thread, and in a signal's handler."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told = AsyncFlag()

    def tell(self) -> None:
        """It shall end."""
        self._loop.call_soon_threadsafe(self._told.set)

    async def wait(self) -> None:
        """Waits until it is told."""
        while not await self._told.wait(_MISSED_SECONDS):
            pass


class AsyncBackground:
    """Work beside the caller's; it must end when a flag tells it to."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._task = asyncio.create_task(work(), name=name)

    def stop(self) -> None:
        """Ends what it waits for."""
        self._task.cancel()


class AsyncHeld(Generic[_Response]):
    """A stream that is kept open, for what its being open means."""

    def __init__(self, call: Any, first: _Response) -> None:
        self._call = call
        self._ended = AsyncFlag()
        self.first = first
        call.add_done_callback(lambda _call: self._ended.set())

    async def ended(self) -> None:
        """Returns when the stream is open no more, whoever ended it."""
        await self._ended.wait()

    async def release(self) -> None:
        """Ends the stream."""
        self._call.cancel()


class AsyncTransport:
    """A channel to one controller, with a stub for each service; every failure is an E2EError."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._standing = caller_metadata()
        if target.tls:
            credentials = target.credentials.channel_credentials()
            self._channel = grpc.aio.secure_channel(target.address, credentials, options=target.options)
        else:
            self._channel = grpc.aio.insecure_channel(target.address, options=target.options)
        self.manifests = ManifestServiceStub(self._channel)
        self.environments = EnvironmentServiceStub(self._channel)
        self.waits = WaitServiceStub(self._channel)
        self.metrics = MetricServiceStub(self._channel)
        self.containers = ContainerServiceStub(self._channel)
        self.events = EventServiceStub(self._channel)
        self.evidence = EvidenceServiceStub(self._channel)

    async def close(self) -> None:
        """Ends all calls and the connection."""
        await self._channel.close()

    async def unary(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], request: _Request, timeout: float
    ) -> _Response:
        """One request, one response. `timeout` in seconds is the call's deadline."""
        async with self._typed_errors():
            return await method(request, timeout=timeout, metadata=self._metadata())

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> AsyncIterator[AsyncIterator[_Response]]:
        """The responses to one request; leaving the block ends the call."""
        call = method(request, timeout=timeout, metadata=self._metadata())
        try:
            async with self._typed_errors():
                yield aiter(call)
        finally:
            call.cancel()

    @contextlib.asynccontextmanager
    async def repeating(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
        interval: float,
    ) -> AsyncIterator[AsyncIterator[_Response]]:
        """As `stream`; after each `interval` seconds without a response comes the last one again."""
        async with (
            self.stream(method, request, timeout) as responses,
            contextlib.aclosing(_repeated(responses, interval)) as repeated,
        ):
            yield repeated

    @contextlib.asynccontextmanager
    async def exchange(
        self,
        method: grpc.aio.StreamStreamMultiCallable[_Request, _Response],
        requests: Iterable[_Request],
        timeout: float | None,
    ) -> AsyncIterator[AsyncIterator[_Response]]:
        """The responses to several requests; leaving the block ends the call."""
        call = method(iter(requests), timeout=timeout, metadata=self._metadata())
        try:
            async with self._typed_errors():
                yield aiter(call)
        finally:
            call.cancel()

    async def hold(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float,
    ) -> AsyncHeld[_Response]:
        """Opens a stream without a deadline, whose first response comes within `timeout` seconds."""
        call = method(request, metadata=self._metadata())
        try:
            async with self._typed_errors():
                first: Any = await asyncio.wait_for(call.read(), timeout)
        except TimeoutError:
            call.cancel()
            raise WaitTimeout(f"the controller did not answer within {timeout:g} s") from None
        except BaseException:
            call.cancel()
            raise
        if first is grpc.aio.EOF:
            raise Unavailable("the controller ended the stream at once")
        return AsyncHeld(call, first)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (*self._standing, *self._target.credentials.metadata())

    @contextlib.asynccontextmanager
    async def _typed_errors(self) -> AsyncIterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            if may_be_explained(error, self._target):
                raise await in_thread(typed_error, error, self._target) from None
            raise typed_error(error, self._target) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # gRPC raises it as well where the controller cancelled the call: its own caller did not.
            raise cut_off() from None


async def _repeated(responses: AsyncIterator[_Response], interval: float) -> AsyncGenerator[_Response, None]:
    last = await anext(responses, None)
    pending: asyncio.Future[_Response | None] | None = None
    try:
        while last is not None:
            yield last
            pending = pending or asyncio.ensure_future(anext(responses, None))
            if (await asyncio.wait((pending,), timeout=interval))[0]:
                last, pending = pending.result(), None
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
