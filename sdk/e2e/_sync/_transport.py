"""The few primitives that differ between the synchronous client and the asynchronous one.

The twin of `e2e.aio._transport`, of the same shape, kept by hand; the rest of this package is generated.
"""

from __future__ import annotations  # gRPC's generic types exist for type checkers only

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

import grpc

from e2e.addresses import Target
from e2e.failures import typed_error
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
_READ_AHEAD = 64
"""Responses that are kept for who is slow to take them."""
_MISSED_SECONDS = 0.5
"""Until a signal is noticed that came just before the main thread blocked: it interrupts nothing."""


def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Runs what blocks; here the caller may be blocked."""
    return function(*args, **kwargs)


def pause(seconds: float) -> None:
    """Lets time pass."""
    time.sleep(seconds)


Flag = threading.Event
"""What happens once, and can be waited for."""


class Ending:
    """What ends a long run: may be told in any thread, and in a signal's handler."""

    def __init__(self) -> None:
        # Not an event, whose lock the interrupted thread may just hold.
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def tell(self) -> None:
        """It shall end."""
        self._told.put(None)

    def wait(self) -> None:
        """Waits until it is told."""
        while True:
            with contextlib.suppress(queue.Empty):
                self._told.get(timeout=_MISSED_SECONDS)
                return


class Background:
    """Work beside the caller's; it must end when a flag tells it to. The process may end before it."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

    def stop(self) -> None:
        """A thread cannot be ended from outside."""


class Held(Generic[_Response]):
    """A stream that is kept open, for what its being open means."""

    def __init__(self, call: Any, first: _Response) -> None:
        self._call = call
        self._ended = Flag()
        self.first = first
        if not call.add_callback(self._ended.set):
            self._ended.set()

    def ended(self) -> None:
        """Returns when the stream is open no more, whoever ended it."""
        self._ended.wait()

    def release(self) -> None:
        """Ends the stream."""
        self._call.cancel()


class Transport:
    """A channel to one controller, with a stub for each service; every failure is an E2EError."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._standing = caller_metadata()
        if target.tls:
            credentials = target.credentials.channel_credentials()
            self._channel = grpc.secure_channel(target.address, credentials, options=target.options)
        else:
            self._channel = grpc.insecure_channel(target.address, options=target.options)
        self.manifests = ManifestServiceStub(self._channel)
        self.environments = EnvironmentServiceStub(self._channel)
        self.waits = WaitServiceStub(self._channel)
        self.metrics = MetricServiceStub(self._channel)
        self.containers = ContainerServiceStub(self._channel)
        self.events = EventServiceStub(self._channel)
        self.evidence = EvidenceServiceStub(self._channel)

    def close(self) -> None:
        """Ends all calls and the connection."""
        self._channel.close()

    def unary(
        self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request, timeout: float
    ) -> _Response:
        """One request, one response. `timeout` in seconds is the call's deadline."""
        try:
            return method(request, timeout=timeout, metadata=self._metadata())
        except grpc.RpcError as error:
            raise typed_error(error, self._target) from None

    @contextlib.contextmanager
    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> Iterator[Iterator[_Response]]:
        """The responses to one request; leaving the block ends the call."""
        call = method(request, timeout=timeout, metadata=self._metadata())
        try:
            yield iter(call)
        except grpc.RpcError as error:
            raise typed_error(error, self._target) from None
        finally:
            call.cancel()

    @contextlib.contextmanager
    def repeating(
        self,
        method: grpc.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
        interval: float,
    ) -> Iterator[Iterator[_Response]]:
        """As `stream`; after each `interval` seconds without a response comes the last one again."""
        with (
            self.stream(method, request, timeout) as responses,
            contextlib.closing(_repeated(responses, interval)) as repeated,
        ):
            yield repeated

    @contextlib.contextmanager
    def exchange(
        self,
        method: grpc.StreamStreamMultiCallable[_Request, _Response],
        requests: Iterable[_Request],
        timeout: float | None,
    ) -> Iterator[Iterator[_Response]]:
        """The responses to several requests; leaving the block ends the call."""
        call = method(iter(requests), timeout=timeout, metadata=self._metadata())
        try:
            yield iter(call)
        except grpc.RpcError as error:
            raise typed_error(error, self._target) from None
        finally:
            call.cancel()

    def hold(
        self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request, timeout: float
    ) -> Held[_Response]:
        """Opens a stream without a deadline, whose first response comes within `timeout` seconds."""
        call = method(request, metadata=self._metadata())
        late = threading.Event()

        def give_up() -> None:
            late.set()
            call.cancel()

        timer = threading.Timer(timeout, give_up)
        timer.daemon = True
        timer.start()
        try:
            first = next(iter(call))
        except grpc.RpcError as error:
            if late.is_set():
                raise WaitTimeout(f"the controller did not answer within {timeout:g} s") from None
            raise typed_error(error, self._target) from None
        except StopIteration:
            raise Unavailable("the controller ended the stream at once") from None
        except BaseException:
            call.cancel()
            raise
        finally:
            timer.cancel()
        return Held(call, first)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (*self._standing, *self._target.credentials.metadata())


def _repeated(responses: Iterator[_Response], interval: float) -> Generator[_Response, None, None]:
    arrived: queue.SimpleQueue[_Response | Exception | None] = queue.SimpleQueue()
    room = threading.Semaphore(_READ_AHEAD)

    def read() -> None:
        try:
            for response in responses:
                room.acquire()
                arrived.put(response)
            arrived.put(None)
        except Exception as error:
            arrived.put(error)

    # It ends with the call, which whoever opened the stream cancels.
    threading.Thread(target=read, name="e2e responses", daemon=True).start()
    last = arrived.get()
    try:
        while last is not None:
            if isinstance(last, Exception):
                raise last
            yield last
            with contextlib.suppress(queue.Empty):
                last = arrived.get(timeout=interval)
                room.release()
    finally:
        room.release()
