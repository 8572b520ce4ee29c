"""Turns our errors into gRPC statuses, once, for all servicers; and knows how many calls there are."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from e2e_api.errors import (
    E2EError,
    InvalidArgument,
    LimitExceeded,
    NotFound,
    NotRunning,
    NotWritable,
    Unavailable,
    to_status,
)
from e2e_controller.drivers.base import (
    ContainerGone,
    DriverError,
    EngineUnavailable,
    NoSuchPath,
    ReadOnly,
    SpecRefused,
)

log = logging.getLogger(__name__)

MAX_CALLS = 2_000
_STATUS_SECONDS = 1.0
_PUSHBACK = "grpc-retry-pushback-ms"


class Refusal:
    """A handler that ends a call by itself, before anything of it is read: as that of a stream."""

    request_streaming = response_streaming = True
    request_deserializer = response_serializer = None
    unary_unary = unary_stream = stream_unary = None

    def __init__(self, error: E2EError, noted: Callable[[str], Awaitable[None]]) -> None:
        """`noted` is awaited before the answer, with who called."""
        self._error = error
        self._noted = noted

    async def stream_stream(self, _requests: Any, context: Any) -> None:
        """Answers."""
        await self._noted(context.peer())
        await abort(context, self._error)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler, but for those that refuse: strangers must not use up the number of calls."""

    def __init__(self, stall_timeout: float | None = None) -> None:
        """`stall_timeout`: seconds in which a client must take what it is sent."""
        self._stall_timeout = stall_timeout
        self.calls = 0
        """Calls under way, streams included."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Gives back the handler with our try around it."""
        handler = await continuation(handler_call_details)
        if handler is None or isinstance(handler, Refusal):
            return handler
        if not handler_call_details.method.startswith("/e2e.v1."):
            return handler
        for name in ("unary_unary", "stream_unary"):
            if method := getattr(handler, name):
                return handler._replace(**{name: self._single(method)})
        for name in ("unary_stream", "stream_stream"):
            if method := getattr(handler, name):
                return handler._replace(**{name: self._stream(method)})
        return handler

    def _single(self, method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def call(request: Any, context: Any) -> Any:
            self.calls += 1
            try:
                self._check_number()
                return await method(request, context)
            except Exception as error:
                await abort(context, error)
            finally:
                self.calls -= 1

        return call

    def _stream(
        self, method: Callable[[Any, Any], AsyncGenerator[Any, None]]
    ) -> Callable[[Any, Any], Awaitable[None]]:
        async def call(request: Any, context: Any) -> None:
            self.calls += 1
            try:
                self._check_number()
                # Written, not yielded: gRPC leaves a generator whose client is gone to the collector.
                async with aclosing(method(request, context)) as responses:
                    async for response in responses:
                        if not await self._written(context, response):
                            return
            except Exception as error:
                await abort(context, error)
            finally:
                self.calls -= 1

        return call

    async def _written(self, context: Any, response: Any) -> bool:
        """Whether the client has taken it; one that is gone, and had not read for a while, takes none."""
        try:
            async with asyncio.timeout(self._stall_timeout):
                await context.write(response)
        except grpc.aio.InternalError:
            return False
        except TimeoutError:
            raise LimitExceeded(
                f"the client has not read what it asked for within {self._stall_timeout:g} s",
                reason="Stalled",
            ) from None
        return True

    def _check_number(self) -> None:
        if self.calls > MAX_CALLS:
            raise LimitExceeded(f"more than {MAX_CALLS} calls at once")


async def abort(context: Any, error: Exception) -> None:
    """Ends the call with the error's status."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    known = as_e2e_error(error)
    status = to_status(known)
    if isinstance(known, LimitExceeded):
        pushback = (_PUSHBACK, _milliseconds_to_wait(known))
        status = status._replace(trailing_metadata=(*status.trailing_metadata, pushback))
    # Its sending ends when the client has read what was written before, which may be never.
    with suppress(TimeoutError):
        async with asyncio.timeout(_STATUS_SECONDS):
            await context.abort_with_status(status)


def _milliseconds_to_wait(error: LimitExceeded) -> str:
    """When gRPC's clients are to try again by themselves; for most limits they are not."""
    for detail in error.details:
        if isinstance(detail, RetryInfo):
            return str(detail.retry_delay.ToMilliseconds())
    return "-1"


def as_e2e_error(error: Exception) -> E2EError:
    """Any exception as one that clients know."""
    if isinstance(error, E2EError):
        return error
    if isinstance(error, EngineUnavailable):
        return Unavailable(str(error), reason=error.reason)
    if isinstance(error, NoSuchPath):
        return NotFound(str(error), reason="NoSuchPath")
    if isinstance(error, ContainerGone):
        return NotRunning(str(error), reason="ContainerGone")
    if isinstance(error, ReadOnly):
        return NotWritable(str(error))
    if isinstance(error, SpecRefused):
        return InvalidArgument(str(error), reason=error.reason)
    if isinstance(error, DriverError):
        return E2EError(str(error), reason=error.reason)
    log.error("a call failed", exc_info=error)
    return E2EError(f"internal error: {type(error).__name__}: {error}", reason="Internal")


def not_found(what: object) -> NotFound:
    """The error for an object that does not exist."""
    return NotFound(f"{what} does not exist", reason="NotFound")
