"""A controller without an engine: it answers as told, and keeps what it was asked."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from e2e_api.errors import Conflict, E2EError, NotFound, to_status
from e2e_api.parsing import parse_documents
from e2e_api.v1 import (
    container_service_pb2,
    container_service_pb2_grpc,
    environment_service_pb2,
    environment_service_pb2_grpc,
    evidence_service_pb2,
    evidence_service_pb2_grpc,
    manifest_service_pb2,
    manifest_service_pb2_grpc,
    metric_service_pb2,
    metric_service_pb2_grpc,
    object_pb2,
    wait_service_pb2,
    wait_service_pb2_grpc,
)

Answer = Callable[[Any], Iterator[Any]]


def ready_object(environment: str, name: str, **status: Any) -> object_pb2.Object:
    """A workload that runs and is ready; `status` overrides parts of its status, as protobuf JSON."""
    conditions = [{"type": "Ready", "status": "CONDITION_STATUS_TRUE", "reason": "ProbeSucceeded"}]
    container = {"state": "running", "image": "busybox:1.36"}
    message = {
        "key": {"environment": environment, "kind": "Workload", "name": name},
        "source": f"/state/{name}.json:1",
        "status": {"conditions": conditions, "summary": "Ready", "container": container, **status},
    }
    return ParseDict(message, object_pb2.Object())


class FakeController(
    manifest_service_pb2_grpc.ManifestServiceServicer,
    environment_service_pb2_grpc.EnvironmentServiceServicer,
    wait_service_pb2_grpc.WaitServiceServicer,
    metric_service_pb2_grpc.MetricServiceServicer,
    container_service_pb2_grpc.ContainerServiceServicer,
    evidence_service_pb2_grpc.EvidenceServiceServicer,
):
    """Serves both clients. `requests` has every request; `answers` replaces the answer of a method."""

    def __init__(self, shared_directory: Path) -> None:
        self.requests: list[Any] = []
        self.answers: dict[str, Answer] = {}
        self.objects: dict[tuple[str, str, str], object_pb2.Object] = {}
        self.held: list[str] = []
        self.deadlines: list[float] = []
        self.metadata: list[dict[str, str]] = []
        self._shared_directory = shared_directory
        self._left = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16))
        for name in ("Manifest", "Environment", "Wait", "Metric", "Container", "Evidence"):
            module = globals()[f"{name.lower()}_service_pb2_grpc"]
            getattr(module, f"add_{name}ServiceServicer_to_server")(self, self._server)

    def start(self, socket: Path) -> str:
        """Serves on the socket; gives the address for `E2E_CONTROLLER`."""
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()
        return f"unix://{socket}"

    def start_on_tcp(self, credentials: grpc.ServerCredentials | None = None) -> str:
        """Serves on loopback, with TLS where there are credentials; gives `host:port`."""
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()
        return f"localhost:{port}"

    def stop(self) -> None:
        self._left.set()
        self._server.stop(None).wait()

    def asked(self, kind: type) -> list[Any]:
        """The requests of one type, in order."""
        return [request for request in self.requests if isinstance(request, kind)]

    def _answer(self, method: str, request: Any, context: Any, default: Answer) -> Iterator[Any]:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if context.time_remaining() is not None:
            self.deadlines.append(context.time_remaining())
        try:
            yield from self.answers.get(method, default)(request)
        except E2EError as error:
            context.abort_with_status(to_status(error))

    def Apply(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("Apply", request, context, self._apply))

    def _apply(self, request: Any) -> Iterator[Any]:
        for document in parse_documents(request.documents.encode()):
            assert document.problems == ()
            manifest = document.manifest
            assert manifest is not None
            key = (request.environment, manifest.kind, manifest.metadata.name)
            self.objects[key] = ready_object(request.environment, manifest.metadata.name)
            self.objects[key].managed_by_api = True
            self.objects[key].document = manifest.model_dump_json(by_alias=True, exclude_defaults=True)
        yield manifest_service_pb2.ApplyResponse()

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        def delete(request: Any) -> Iterator[Any]:
            for key in request.keys:
                self.objects.pop((key.environment, key.kind, key.name), None)
            yield manifest_service_pb2.DeleteResponse()

        return next(self._answer("Delete", request, context, delete))

    def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        def get(request: Any) -> Iterator[Any]:
            key = (request.key.environment, request.key.kind, request.key.name)
            if key not in self.objects:
                raise NotFound(f"{'/'.join(key)} does not exist")
            yield manifest_service_pb2.GetResponse(object=self.objects[key])

        return next(self._answer("Get", request, context, get))

    def List(self, request: Any, context: Any) -> Any:  # noqa: N802
        def listed(request: Any) -> Iterator[Any]:
            found = [value for key, value in self.objects.items() if key[0] == request.environment]
            yield manifest_service_pb2.ListResponse(objects=found)

        return next(self._answer("List", request, context, listed))

    def Watch(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        return self._answer("Watch", request, context, lambda _: iter(()))

    def Hold(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        return self._answer("Hold", request, context, lambda asked: self._hold(asked, context))

    def _hold(self, request: Any, context: Any) -> Iterator[Any]:
        if request.fresh and request.environment in self.held:
            raise Conflict(f"environment {request.environment} is held by another client")
        self.held.append(request.environment)
        gone = threading.Event()

        def release() -> None:
            self.held.remove(request.environment)
            gone.set()

        # Not after the last response: whoever leaves at once is not asked for the next one.
        if not context.add_callback(release):
            release()
        yield environment_service_pb2.HoldResponse(shared_directory=str(self._shared_directory))
        while not gone.wait(0.01) and not self._left.is_set():
            pass

    def ListEnvironments(self, request: Any, context: Any) -> Any:  # noqa: N802
        def listed(_: Any) -> Iterator[Any]:
            yield environment_service_pb2.ListEnvironmentsResponse()

        return next(self._answer("ListEnvironments", request, context, listed))

    def DeleteEnvironment(self, request: Any, context: Any) -> Any:  # noqa: N802
        def delete(request: Any) -> Iterator[Any]:
            for key in [key for key in self.objects if key[0] == request.environment]:
                del self.objects[key]
            yield environment_service_pb2.DeleteEnvironmentResponse()

        return next(self._answer("DeleteEnvironment", request, context, delete))

    def WaitConditions(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        def met(request: Any) -> Iterator[Any]:
            for key in request.keys:
                found = ready_object(key.environment, key.name)
                yield wait_service_pb2.WaitConditionsResponse(object=found, met=True)

        return self._answer("WaitConditions", request, context, met)

    def WaitMetrics(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("WaitMetrics", request, context, lambda _: iter(())))

    def WatchMetrics(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        return self._answer("WatchMetrics", request, context, lambda _: iter(()))

    def SumMetrics(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("SumMetrics", request, context, lambda _: iter(())))

    def GetMetrics(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("GetMetrics", request, context, lambda _: iter(())))

    def GetBaseline(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("GetBaseline", request, context, lambda _: iter(())))

    def GetMetricsPage(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("GetMetricsPage", request, context, lambda _: iter(())))

    def Exec(self, request_iterator: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        requests = list(request_iterator)
        self.requests += requests[1:]

        def echo(_: Any) -> Iterator[Any]:
            for request in requests[1:]:
                yield container_service_pb2.ExecResponse(stdout=request.stdin)
            yield container_service_pb2.ExecResponse(exit_code=0)

        return self._answer("Exec", requests[0].start, context, echo)

    def Inspect(self, request: Any, context: Any) -> Any:  # noqa: N802
        return next(self._answer("Inspect", request, context, lambda _: iter(())))

    def GetControllerMetrics(self, request: Any, context: Any) -> Any:  # noqa: N802
        page = evidence_service_pb2.GetControllerMetricsResponse(page="e2e_leases 1.0\n")
        return next(self._answer("GetControllerMetrics", request, context, lambda _: iter([page])))

    def CollectEvidence(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        def files(request: Any) -> Iterator[Any]:
            piece = evidence_service_pb2.CollectEvidenceResponse
            yield piece(path="logs/web.log", data=b"one\n")
            yield piece(path="logs/web.log", data=b"two\n")
            yield piece(path="../../index.txt", data=b"what is where\n")

        return self._answer("CollectEvidence", request, context, files)

    def Logs(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        return self._answer("Logs", request, context, lambda _: iter(()))


def sample(error: str = "", at: float = 0.0, **sums: float | None) -> metric_service_pb2.MetricSample:
    """A sample with these sums; None is an absent metric. `at` is its time in seconds."""
    message = metric_service_pb2.MetricSample(error=error)
    message.time.FromMilliseconds(int(at * 1000))
    for name, value in sums.items():
        message.sums.add(name=name, value=value)
    return message


def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds: the fake hears of a client's end a little later."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
