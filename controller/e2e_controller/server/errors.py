"""Turns our errors into gRPC statuses, once, for all servicers; and knows how many calls there are."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc

from e2e_api.errors import E2EError, LimitExceeded, NotFound, NotRunning, Unavailable, to_status
from e2e_controller.drivers.base import ContainerGone, DriverError, EngineUnavailable

log = logging.getLogger(__name__)

MAX_CALLS = 2_000


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler."""

    def __init__(self) -> None:
        self.calls = 0
        """Calls under way, streams included."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Gives back the handler with our try around it."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/e2e.v1."):
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
                await _abort(context, error)
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
                        if not await _written(context, response):
                            return
            except Exception as error:
                await _abort(context, error)
            finally:
                self.calls -= 1

        return call

    def _check_number(self) -> None:
        if self.calls > MAX_CALLS:
            raise LimitExceeded(f"more than {MAX_CALLS} calls at once")


async def _written(context: Any, response: Any) -> bool:
    """Whether the client has taken it; one that is gone, and had not read for a while, takes none."""
    try:
        await context.write(response)
    except grpc.aio.InternalError:
        return False
    return True


async def _abort(context: Any, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    await context.abort_with_status(to_status(as_e2e_error(error)))


def as_e2e_error(error: Exception) -> E2EError:
    """Any exception as one that clients know."""
    if isinstance(error, E2EError):
        return error
    if isinstance(error, EngineUnavailable):
        return Unavailable(str(error), reason=error.reason)
    if isinstance(error, ContainerGone):
        return NotRunning(str(error), reason="ContainerGone")
    if isinstance(error, DriverError):
        return E2EError(str(error), reason=error.reason)
    log.error("a call failed", exc_info=error)
    return E2EError(f"internal error: {type(error).__name__}: {error}", reason="Internal")


def not_found(what: object) -> NotFound:
    """The error for an object that does not exist."""
    return NotFound(f"{what} does not exist", reason="NotFound")
