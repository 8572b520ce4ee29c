"""The gRPC server: services, health, reflection, and where it listens."""

import asyncio
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
from e2e_controller.server.certificates import Certificates
from e2e_controller.server.container_service import ContainerServicer
from e2e_controller.server.environment_service import EnvironmentServicer
from e2e_controller.server.errors import ErrorInterceptor
from e2e_controller.server.event_service import EventServicer
from e2e_controller.server.evidence_service import EvidenceServicer
from e2e_controller.server.manifest_service import ManifestServicer
from e2e_controller.server.metric_service import MetricServicer
from e2e_controller.server.protection import Protection
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
_HANDSHAKE_MILLISECONDS = 10_000
_IDLE_MILLISECONDS = 10 * 60_000
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
        self._health = health.aio.HealthServicer()
        self._sockets: list[UnixSocket] = []
        self._servers: list[grpc.aio.Server] = []
        self._interceptors: list[ErrorInterceptor] = []
        self._keepalive = _keepalive(keepalive)

        def add_services(server: grpc.aio.Server) -> None:
            manifest_service_pb2_grpc.add_ManifestServiceServicer_to_server(manifests, server)
            environment_service_pb2_grpc.add_EnvironmentServiceServicer_to_server(environments, server)
            wait_service_pb2_grpc.add_WaitServiceServicer_to_server(waits, server)
            metric_service_pb2_grpc.add_MetricServiceServicer_to_server(metrics, server)
            container_service_pb2_grpc.add_ContainerServiceServicer_to_server(containers, server)
            event_service_pb2_grpc.add_EventServiceServicer_to_server(events, server)
            evidence_service_pb2_grpc.add_EvidenceServiceServicer_to_server(evidence, server)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
            _add_reflection(server)

        self._add_services = add_services

    @property
    def calls(self) -> int:
        """Calls under way, streams included."""
        return sum(interceptor.calls for interceptor in self._interceptors)

    async def start(self, addresses: Sequence[str], protection: Protection) -> list[str]:
        """Listens on `unix:///path` and `host:port` addresses; returns them with real ports.

        Unix sockets are for their owner; what stands before the others is `protection`. Raises `ListenError`.
        """
        local = [address for address in addresses if _is_local(address)]
        bound: dict[str, str] = {}
        try:
            if local:
                server = self._make_server()
                bound |= {address: self._bind_socket(server, address) for address in local}
            if len(local) < len(addresses):
                server = self._make_server(protection)
                for address in addresses:
                    if not _is_local(address):
                        bound[address] = _bind_port(server, address, protection.certificates)
        except ListenError:
            self._remove_sockets()
            raise
        for server in self._servers:
            await server.start()
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return [bound[address] for address in addresses]

    async def stop(self, grace: float) -> None:
        """Ends calls, at the latest after `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(grace) for server in self._servers))
        self._remove_sockets()

    def _make_server(self, protection: Protection | None = None) -> grpc.aio.Server:
        """One for Unix sockets, or one behind the protection."""
        options = [*_OPTIONS, *self._keepalive]
        interceptors: list[grpc.aio.ServerInterceptor] = []
        if protection is None:
            self._interceptors.append(ErrorInterceptor())
        else:
            options += _bounds(protection)
            self._interceptors.append(ErrorInterceptor(protection.stall_timeout))
            interceptors.append(protection.guard)
        server = grpc.aio.server(interceptors=[self._interceptors[-1], *interceptors], options=options)
        self._add_services(server)
        self._servers.append(server)
        return server

    def _bind_socket(self, server: grpc.aio.Server, address: str) -> str:
        socket = UnixSocket(Path(address.removeprefix("unix://").removeprefix("unix:")))
        previous = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{socket.temporary}")
        except RuntimeError as error:
            raise _cannot_listen(address) from error
        finally:
            os.umask(previous)
        socket.place()
        self._sockets.append(socket)
        return address

    def _remove_sockets(self) -> None:
        for socket in self._sockets:
            socket.remove()


def _is_local(address: str) -> bool:
    return address.startswith("unix:")


def _bounds(protection: Protection) -> list[tuple[str, int]]:
    """What strangers can make the server hold."""
    return [
        ("grpc.max_allowed_incoming_connections", protection.max_connections),
        ("grpc.max_concurrent_streams", protection.max_streams),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLISECONDS),
        ("grpc.max_connection_idle_ms", _IDLE_MILLISECONDS),
    ]


def _bind_port(server: grpc.aio.Server, address: str, certificates: Certificates | None) -> str:
    try:
        if certificates is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, certificates.grpc_credentials())
    except RuntimeError as error:
        raise _cannot_listen(address) from error
    return f"{address.rpartition(':')[0]}:{port}"


def _cannot_listen(address: str) -> ListenError:
    return ListenError(f"cannot listen on {address}; is the address in use?")


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
