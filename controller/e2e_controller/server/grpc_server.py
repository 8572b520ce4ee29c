"""The gRPC server: services, health, reflection, and where it listens."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from e2e_api.v1 import (
    container_service_pb2,
    container_service_pb2_grpc,
    environment_service_pb2,
    environment_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    evidence_service_pb2,
    evidence_service_pb2_grpc,
    manifest_service_pb2,
    manifest_service_pb2_grpc,
    metric_service_pb2,
    metric_service_pb2_grpc,
    wait_service_pb2,
    wait_service_pb2_grpc,
)
from e2e_controller.server.container_service import ContainerServicer
from e2e_controller.server.environment_service import EnvironmentServicer
from e2e_controller.server.errors import ErrorInterceptor
from e2e_controller.server.event_service import EventServicer
from e2e_controller.server.evidence_service import EvidenceServicer
from e2e_controller.server.manifest_service import ManifestServicer
from e2e_controller.server.metric_service import MetricServicer
from e2e_controller.server.unix_socket import ListenError, UnixSocket
from e2e_controller.server.wait_service import WaitServicer

MAX_MESSAGE = 64 * 2**20
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 64 * 2**10),
    ("grpc.so_reuseport", 0),
]
_SERVICES = [
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (container_service_pb2, "ContainerService"),
        (environment_service_pb2, "EnvironmentService"),
        (event_service_pb2, "EventService"),
        (evidence_service_pb2, "EvidenceService"),
        (manifest_service_pb2, "ManifestService"),
        (metric_service_pb2, "MetricService"),
        (wait_service_pb2, "WaitService"),
    )
]
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


def _keepalive(seconds: float) -> list[tuple[str, int]]:
    """A client that hangs or whose host vanished is cut off, and loses its leases with that."""
    silence, patience = math.ceil(seconds * 1000), math.ceil(seconds * 500)
    return [
        ("grpc.keepalive_time_ms", silence),
        ("grpc.keepalive_timeout_ms", patience),
        # What counts in fact, and is a minute by default: the one above never fires (grpc issue 39239).
        ("grpc.http2.ping_timeout_ms", patience),
        # Clients may ping as well, also between calls.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


class GrpcServer:
    """All services behind one or several addresses."""

    def __init__(
        self,
        manifests: ManifestServicer,
        environments: EnvironmentServicer,
        waits: WaitServicer,
        metrics: MetricServicer,
        containers: ContainerServicer,
        events: EventServicer,
        evidence: EvidenceServicer,
        *,
        keepalive: float,
    ) -> None:
        """`keepalive`: seconds of a client's silence until it is asked for a sign of life."""
        self._interceptor = ErrorInterceptor()
        self._health = health.aio.HealthServicer()
        self._sockets: list[UnixSocket] = []
        server = self._server = grpc.aio.server(
            interceptors=[self._interceptor], options=[*_OPTIONS, *_keepalive(keepalive)]
        )
        manifest_service_pb2_grpc.add_ManifestServiceServicer_to_server(manifests, server)
        environment_service_pb2_grpc.add_EnvironmentServiceServicer_to_server(environments, server)
        wait_service_pb2_grpc.add_WaitServiceServicer_to_server(waits, server)
        metric_service_pb2_grpc.add_MetricServiceServicer_to_server(metrics, server)
        container_service_pb2_grpc.add_ContainerServiceServicer_to_server(containers, server)
        event_service_pb2_grpc.add_EventServiceServicer_to_server(events, server)
        evidence_service_pb2_grpc.add_EvidenceServiceServicer_to_server(evidence, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        _add_reflection(server)

    @property
    def calls(self) -> int:
        """Calls under way, streams included."""
        return self._interceptor.calls

    async def start(self, addresses: Sequence[str]) -> list[str]:
        """Listens on `unix:///path` and `host:port` addresses; returns them with real ports.

        Raises `ListenError`.
        """
        try:
            bound = [self._bind(address) for address in addresses]
        except ListenError:
            self._remove_sockets()
            raise
        await self._server.start()
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def stop(self, grace: float) -> None:
        """Ends calls, at the latest after `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
        self._remove_sockets()

    def _bind(self, address: str) -> str:
        if not address.startswith("unix:"):
            return f"{address.rpartition(':')[0]}:{self._listen(address, address)}"
        socket = UnixSocket(Path(address.removeprefix("unix://").removeprefix("unix:")))
        self._listen(f"unix:{socket.temporary}", address)
        socket.place()
        self._sockets.append(socket)
        return address

    def _listen(self, place: str, address: str) -> int:
        """Binds; returns the port. `address` is what a person knows the place by."""
        previous = os.umask(0o177)
        try:
            port: Any = self._server.add_insecure_port(place)
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {address}; is the address in use?") from error
        finally:
            os.umask(previous)
        return int(port)

    def _remove_sockets(self) -> None:
        for socket in self._sockets:
            socket.remove()


def _add_reflection(server: grpc.aio.Server) -> None:
    """Reflection, v1alpha and v1: the same messages under another name, which grpcio-reflection has not."""
    names = [*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    handler: Any = grpc.stream_stream_rpc_method_handler(
        reflection.aio.ReflectionServicer(names).ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_REFLECTION_V1, methods),))
