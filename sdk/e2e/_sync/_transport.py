"""The few primitives that differ between the synchronous client and the asynchronous one.

The twin of `e2e.aio._transport`, of the same shape, kept by hand; the rest of this package is generated.
"""

from __future__ import annotations  # gRPC's generic types exist for type checkers only

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

import grpc

from e2e.addresses import CHANNEL_OPTIONS, Target
from e2e.failures import LOST, REOPEN_SECONDS, typed_error
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


def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Runs what blocks; here the caller may be blocked."""
    return function(*args, **kwargs)


class Held(Generic[_Response]):
    """A stream that is kept open, for what its being open means.

    Where the controller ends it, being restarted, `again` opens it anew, until it is released.
    """

    def __init__(self, call: Any, first: _Response, again: Callable[[], Any]) -> None:
        self.first = first
        self._call = call
        self._again = again
        self._released = threading.Event()
        threading.Thread(target=self._keep_open, name="e2e-hold", daemon=True).start()

    def release(self) -> None:
        """Ends the stream."""
        self._released.set()
        self._call.cancel()

    def _keep_open(self) -> None:
        while True:
            try:
                for _ in self._call:
                    pass
            except grpc.RpcError as error:
                if error.code() not in LOST:
                    return
            if self._released.wait(REOPEN_SECONDS):
                return
            try:
                self._call = self._again()
            except ValueError:  # the channel is closed
                return
            if self._released.is_set():
                self._call.cancel()


class Transport:
    """A channel to one controller, with a stub for each service; every failure is an E2EError."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._channel = grpc.insecure_channel(target.address, options=CHANNEL_OPTIONS)
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
            return method(request, timeout=timeout)
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
        call = method(request, timeout=timeout)
        try:
            yield iter(call)
        except grpc.RpcError as error:
            raise typed_error(error, self._target) from None
        finally:
            call.cancel()

    @contextlib.contextmanager
    def exchange(
        self,
        method: grpc.StreamStreamMultiCallable[_Request, _Response],
        requests: Iterable[_Request],
        timeout: float | None,
    ) -> Iterator[Iterator[_Response]]:
        """The responses to several requests; leaving the block ends the call."""
        call = method(iter(requests), timeout=timeout)
        try:
            yield iter(call)
        except grpc.RpcError as error:
            raise typed_error(error, self._target) from None
        finally:
            call.cancel()

    def hold(
        self,
        method: grpc.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        again: _Request,
        timeout: float,
    ) -> Held[_Response]:
        """Opens a stream without a deadline, whose first response comes within `timeout` seconds.

        Should the controller be restarted, it is opened anew with `again`.
        """
        call = method(request)
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
        return Held(call, first, lambda: method(again))
