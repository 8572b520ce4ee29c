"""Lets callers in over TCP: who they are, how far they reach, how much they may have.

A call that is refused is refused before anything of it is read, so that strangers cost next to nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import isasyncgenfunction
from typing import TYPE_CHECKING, Any

import grpc

from e2e_api.errors import E2EError, InvalidArgument, LimitExceeded, Unauthenticated
from e2e_controller.server.callers import ANYBODY, Caller, set_caller
from e2e_controller.server.errors import Refusal
from e2e_controller.server.limits import Limits, Refusals
from e2e_controller.server.scopes import OPEN, Rule, rule_of

if TYPE_CHECKING:
    from e2e_controller.server.tokens import Tokens

_REMEDY = (
    "set E2E_TOKEN, or E2E_TOKEN_FILE to a file with it (`authorization: Bearer ...` in gRPC's metadata)"
)


@dataclass(slots=True, eq=False)
class _Call:
    """A call under way."""

    caller: Caller
    task: asyncio.Task[Any]
    ended: E2EError | None = None
    """Why it was ended, which its client is told whatever its servicer makes of that."""

    def end(self, error: E2EError) -> None:
        """Ends it, also where its servicer waits for something else; in its own task the error is raised."""
        self.ended = error
        if asyncio.current_task() is not self.task:
            self.task.cancel()


class Guard(grpc.aio.ServerInterceptor):
    """Stands inside of what turns our errors into statuses."""

    def __init__(
        self, tokens: "Tokens | None", limits: Limits, refused: Callable[[str], None], patience: float
    ) -> None:
        """Without tokens, everybody is let in; `refused` is told the reason of each refusal.

        `patience`: seconds in which a single request must have come whole.
        """
        self._patience = patience
        self._tokens = tokens
        self._limits = limits
        self.refusals = Refusals(refused)
        """Of wrong tokens, wherever they are shown."""
        self._calls: set[_Call] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Gives back the handler behind the guard, or one that refuses."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method in OPEN:
            return handler
        try:
            caller = self._identify(handler_call_details.invocation_metadata)
            self._limits.admit(caller.name)
        except E2EError as error:
            self.refusals.count(error)
            return Refusal(error, partial(self.refusals.slow_down, error))
        return self._guarded(handler, caller, rule_of(method))

    def revoke(self) -> None:
        """Ends the calls of those whose tokens are no longer what they were."""
        for call in self._calls:
            if self._tokens is not None and not self._tokens.knows(call.caller):
                error = Unauthenticated(f"the token has been withdrawn: {_REMEDY}", reason="TokenUnknown")
                call.end(error)

    def _identify(self, metadata: Sequence[tuple[str, str | bytes]]) -> Caller:
        if self._tokens is None:
            return ANYBODY
        shown = [value for name, value in metadata if name == "authorization"]
        if not shown:
            raise Unauthenticated(f"this controller asks for a token: {_REMEDY}", reason="TokenMissing")
        scheme, _, token = str(shown[0]).partition(" ")
        caller = self._tokens.find(token.strip()) if scheme.lower() == "bearer" and len(shown) == 1 else None
        if caller is None:
            raise Unauthenticated(
                f"the token is none that this controller knows: {_REMEDY}", reason="TokenUnknown"
            )
        return caller

    def _guarded(self, handler: Any, caller: Caller, rule: Rule) -> Any:
        """The handler with our checks around it; as that of a stream, so that we wait for the request."""
        shape = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
        method = getattr(handler, shape)

        async def given(requests: Any, underway: _Call) -> Any:
            checked = self._checked_each(requests, underway, rule)
            return checked if handler.request_streaming else await self._single(checked)

        async def generate(requests: Any, context: Any) -> AsyncIterator[Any]:
            with self._underway(caller) as underway:
                async with aclosing(method(await given(requests, underway), context)) as responses:
                    async for response in responses:
                        yield response

        async def call(requests: Any, context: Any) -> Any:
            with self._underway(caller) as underway:
                return await method(await given(requests, underway), context)

        ours = f"stream_{_arity(handler.response_streaming)}"
        wrapped = generate if isasyncgenfunction(method) else call
        return handler._replace(request_streaming=True, **{shape: None} | {ours: wrapped})

    async def _single(self, requests: AsyncIterator[Any]) -> Any:
        """The request of a call that has one."""
        try:
            async with asyncio.timeout(self._patience):
                request = await anext(requests, None)
        except TimeoutError:
            raise LimitExceeded(
                f"the request has not come whole within {self._patience:g} s", reason="Stalled"
            ) from None
        if request is None:
            raise InvalidArgument("there is no request", reason="NoRequest")
        return request

    async def _checked_each(self, requests: Any, call: _Call, rule: Rule) -> AsyncIterator[Any]:
        async for request in requests:
            try:
                rule.check(call.caller, request)
            except E2EError as error:
                self.refusals.count(error)
                call.end(error)
                raise
            yield request

    @contextmanager
    def _underway(self, caller: Caller) -> Iterator[_Call]:
        set_caller(caller)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs each call as one  # nosec B101
        call = _Call(caller, task)
        self._calls.add(call)
        try:
            with self._limits.underway(caller.name):
                yield call
        except BaseException:
            if call.ended is None:
                raise
            task.uncancel()
            raise call.ended from None
        finally:
            self._calls.discard(call)


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"
