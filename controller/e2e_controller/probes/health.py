"""Readiness by gRPC's health protocol, and by the image's HEALTHCHECK."""

from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from e2e_controller.drivers.base import Health
from e2e_controller.httpclient import explain_os_error, shorten
from e2e_controller.probes.checks import Answer, PolledCheck, PushedCheck, Target
from e2e_controller.probes.tcp import connect

_OPTIONS = (
    # Else channels share a connection, and with it the back-off after a failed attempt.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
)


class GrpcCheck(PolledCheck):
    """Calls `grpc.health.v1.Health/Check` over a new connection each time."""

    def __init__(self, target: Target, service: str) -> None:
        self.request = f"grpc.health.v1.Health/Check {service!r} at {target}"
        self._target = target
        self._message = health_pb2.HealthCheckRequest(service=service)

    async def attempt(self) -> Answer:
        """Ready when the answer is SERVING."""
        try:
            # A channel is dear, and to no purpose while nothing listens.
            (await connect(self._target)).close()
        except OSError as error:
            return Answer(False, explain_os_error(error))
        async with grpc.aio.insecure_channel(str(self._target), options=_OPTIONS) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                response = await stub.Check(self._message)
            except grpc.aio.AioRpcError as error:
                return Answer(False, shorten(f"{error.code().name}: {error.details()}"))
        serving = response.status == health_pb2.HealthCheckResponse.SERVING
        return Answer(serving, health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


class HealthcheckCheck(PushedCheck):
    """What the engine says of the image's own HEALTHCHECK.

    It comes with each look at the container: whoever sets `health` tells.
    """

    request = "HEALTHCHECK of the image"

    def __init__(self) -> None:
        self.health = Health.NONE
        self.output = ""

    def look(self) -> Answer:
        """Ready when healthy."""
        if self.health is Health.NONE:
            return Answer(False, "the image has no HEALTHCHECK")
        healthy = self.health is Health.HEALTHY
        said = f": {shorten(self.output)}" if self.output and not healthy else ""
        return Answer(healthy, f"{self.health.value}{said}")
