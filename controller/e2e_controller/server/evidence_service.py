"""EvidenceService: gathers all that is known of an environment."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from e2e_api.v1 import evidence_service_pb2 as pb
from e2e_api.v1 import evidence_service_pb2_grpc, object_pb2
from e2e_controller.events import EventLog
from e2e_controller.metrics import Scraper
from e2e_controller.objects import ENVIRONMENT
from e2e_controller.server.access import Access
from e2e_controller.server.callers import current_caller
from e2e_controller.server.convert import key_from_proto
from e2e_controller.server.errors import not_found
from e2e_controller.server.gathering import Gathering

_PIECE = 256 * 2**10


class EvidenceServicer(evidence_service_pb2_grpc.EvidenceServiceServicer):
    """See `evidence_service.proto`."""

    def __init__(
        self,
        access: Access,
        events: EventLog,
        scraper: Scraper,
        registry: CollectorRegistry,
        now: Callable[[], datetime],
    ) -> None:
        self._access = access
        self._events = events
        self._scraper = scraper
        self._registry = registry
        self._now = now

    async def CollectEvidence(
        self, request: pb.CollectEvidenceRequest, context: Any
    ) -> AsyncIterator[pb.CollectEvidenceResponse]:
        key = key_from_proto(object_pb2.ObjectKey(kind=ENVIRONMENT, name=request.environment))
        await self._access.sync_folders()
        if not self._access.store.select(key.environment):
            raise not_found(f"environment {key.environment}")
        gathering = Gathering(
            self._access,
            self._events,
            self._scraper,
            self._own_metrics(),
            key.environment,
            request.log_bytes,
            self._now(),
        )
        async for file in gathering.files():
            for offset in range(0, max(1, len(file.data)), _PIECE):
                yield pb.CollectEvidenceResponse(path=file.path, data=file.data[offset : offset + _PIECE])

    def _own_metrics(self) -> bytes:
        if current_caller().prefixes is not None:
            return b"# They are of all environments, and the caller's token is not.\n"
        return generate_latest(self._registry)

    async def GetControllerMetrics(
        self, request: pb.GetControllerMetricsRequest, context: Any
    ) -> pb.GetControllerMetricsResponse:
        return pb.GetControllerMetricsResponse(page=generate_latest(self._registry).decode())
