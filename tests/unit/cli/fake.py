"""The SDK's fake controller, with what only the command line asks for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict

from e2e_api.manifests import environment_of
from e2e_api.parsing import parse_documents
from e2e_api.v1 import (
    container_service_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    manifest_service_pb2,
    object_pb2,
)

from ..sdk.fake_controller import FakeController, ready_object


def workload(environment: str, name: str, **status: Any) -> object_pb2.Object:
    """A ready workload with a port and a manifest, which `Apply` wrote."""
    endpoints = [{"port": "http", "internal": f"{name}:80", "external": "127.0.0.1:21000", "protocol": "tcp"}]
    found = ready_object(environment, name, **{"endpoints": endpoints, **status})
    found.managed_by_api = True
    found.document = f'{{"kind": "Workload", "metadata": {{"name": "{name}"}}, "spec": {{"image": "img:1"}}}}'
    return found


def event(environment: str, name: str, reason: str, message: str = "", count: int = 1) -> Any:
    """An event of a workload, at the beginning of 2030."""
    document = {
        "key": {"environment": environment, "kind": "Workload", "name": name},
        "type": "EVENT_TYPE_WARNING" if reason == "Exited" else "EVENT_TYPE_NORMAL",
        "reason": reason,
        "message": message,
        "lastTime": "2030-01-01T00:00:00Z",
        "count": count,
    }
    return ParseDict(document, event_service_pb2.Event())


class CliController(FakeController, event_service_pb2_grpc.EventServiceServicer):
    """Keeps applied objects under their own environment; serves events and logs."""

    def __init__(self, shared_directory: Path) -> None:
        super().__init__(shared_directory)
        self.events: list[event_service_pb2.Event] = []
        self.log: list[tuple[str, bytes]] = []
        self.exit_code = 0
        self.answers |= {"Apply": self._apply_here, "List": self._list_here, "Logs": self._logs_here}
        event_service_pb2_grpc.add_EventServiceServicer_to_server(self, self._server)

    def add(self, found: object_pb2.Object) -> None:
        self.objects[(found.key.environment, found.key.kind, found.key.name)] = found

    def _apply_here(self, request: Any) -> Iterator[Any]:
        response = manifest_service_pb2.ApplyResponse()
        for document in parse_documents(request.documents.encode()):
            assert document.manifest is not None, document.problems
            environment = environment_of(document.manifest) or request.environment
            found = workload(environment, document.manifest.metadata.name)
            key = (environment, document.manifest.kind, document.manifest.metadata.name)
            applied = response.objects.add(key=found.key)
            applied.action = (
                manifest_service_pb2.APPLY_ACTION_UNCHANGED
                if key in self.objects
                else manifest_service_pb2.APPLY_ACTION_CREATED
            )
            if request.dry_run:
                applied.plan.append("create img:1: it is not there")
            else:
                self.objects[key] = found
        yield response

    def _list_here(self, request: Any) -> Iterator[Any]:
        chosen = [
            found
            for (environment, kind, _), found in sorted(self.objects.items())
            if request.environment in ("", environment) and request.kind in ("", kind)
        ]
        yield manifest_service_pb2.ListResponse(objects=chosen)

    def _logs_here(self, _: Any) -> Iterator[Any]:
        for stream, data in self.log:
            number = container_service_pb2.OutputStream.Value(f"OUTPUT_STREAM_{stream.upper()}")
            yield container_service_pb2.LogsResponse(stream=number, data=data)

    def WatchEvents(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        def told(request: Any) -> Iterator[Any]:
            for found in self.events:
                if request.name in ("", found.key.name):
                    yield event_service_pb2.WatchEventsResponse(event=found)
            yield event_service_pb2.WatchEventsResponse(synced=True)

        return self._answer("WatchEvents", request, context, told)
