"""EventService: tells what happened."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from e2e_api.v1 import event_service_pb2 as pb
from e2e_api.v1 import event_service_pb2_grpc
from e2e_controller.events import Event, EventLog
from e2e_controller.server.callers import current_caller
from e2e_controller.server.convert import event_to_proto


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    """See `event_service.proto`."""

    def __init__(self, events: EventLog) -> None:
        self._events = events

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Any
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        caller = current_caller()

        def matches(event: Event) -> bool:
            key = event.key
            return (
                request.environment in ("", key.environment)
                and request.kind in ("", key.kind)
                and request.name in ("", key.name)
                and caller.sees(key.environment)
            )

        news = asyncio.Event()
        follower = self._events.follow(news.set)
        try:
            for event in filter(matches, self._events.kept()):
                yield pb.WatchEventsResponse(event=event_to_proto(event))
            yield pb.WatchEventsResponse(synced=True)
            while request.follow:
                await news.wait()
                news.clear()
                for event in filter(matches, follower.take()):
                    yield pb.WatchEventsResponse(event=event_to_proto(event))
        finally:
            follower.close()
