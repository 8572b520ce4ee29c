"""A whole controller in this process, on the driver in memory, behind a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web

from e2e_api.conditions import ConditionType
from e2e_api.errors import E2EError, from_rpc_error
from e2e_api.v1 import (
    container_service_pb2_grpc,
    environment_service_pb2_grpc,
    event_service_pb2_grpc,
    evidence_service_pb2_grpc,
    manifest_service_pb2,
    manifest_service_pb2_grpc,
    metric_service_pb2_grpc,
    object_pb2,
    wait_service_pb2,
    wait_service_pb2_grpc,
)
from e2e_api.v1 import metric_service_pb2 as metrics
from e2e_controller.drivers.base import Key
from e2e_controller.drivers.fake import FakeDriver, FakeEngine
from e2e_controller.instruments import Instruments
from e2e_controller.manager import Manager
from e2e_controller.server import metric_service, renewal, wait_service
from e2e_controller.settings import Settings

IMAGE = "busybox:1.36"
Goal = wait_service_pb2.WaitGoal
LATE = 30.0
"""Seconds by which the evidence of a wait in vain may be late on a busy machine; see `patient`."""


def document(name: str = "web", kind: str = "Workload", **spec: Any) -> dict[str, Any]:
    defaults = {"image": IMAGE} if kind != "Environment" and "build" not in spec else {}
    return {"apiVersion": "e2e/v1", "kind": kind, "metadata": {"name": name}, "spec": {**defaults, **spec}}


def key(name: str = "web", environment: str = "test", kind: str = "Workload") -> object_pb2.ObjectKey:
    return object_pb2.ObjectKey(environment=environment, kind=kind, name=name)


@pytest.fixture(autouse=True)
def no_variables_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("E2E_TOKEN", "E2E_TOKEN_FILE", "E2E_TLS_CERT", "E2E_TLS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(renewal, "INTERVAL", 0.02)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits end long before the deadline of their call: no stall of this process hides their evidence."""

    def time_limit(context: Any) -> float:
        remaining = context.time_remaining()
        seconds = 86_400 if remaining is None else remaining - LATE
        return asyncio.get_running_loop().time() + max(0.0, seconds)

    for service in (wait_service, metric_service):
        monkeypatch.setattr(service, "time_limit", time_limit)


class Client:
    """Stubs, and the calls that most tests make."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.manifests = manifest_service_pb2_grpc.ManifestServiceStub(channel)
        self.environments = environment_service_pb2_grpc.EnvironmentServiceStub(channel)
        self.containers = container_service_pb2_grpc.ContainerServiceStub(channel)
        self.waits = wait_service_pb2_grpc.WaitServiceStub(channel)
        self.metrics = metric_service_pb2_grpc.MetricServiceStub(channel)
        self.containers = container_service_pb2_grpc.ContainerServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.evidence = evidence_service_pb2_grpc.EvidenceServiceStub(channel)

    async def apply(self, *documents: Any, dry_run: bool = False) -> manifest_service_pb2.ApplyResponse:
        import json

        text = "\n---\n".join(d if isinstance(d, str) else json.dumps(d) for d in documents)
        request = manifest_service_pb2.ApplyRequest(documents=text, environment="test", dry_run=dry_run)
        return await checked(self.manifests.Apply(request, timeout=60))

    async def get(
        self, name: str = "web", environment: str = "test", kind: str = "Workload"
    ) -> object_pb2.Object:
        request = manifest_service_pb2.GetRequest(key=key(name, environment, kind))
        return (await checked(self.manifests.Get(request, timeout=60))).object

    async def delete(self, *keys: object_pb2.ObjectKey) -> None:
        await checked(self.manifests.Delete(manifest_service_pb2.DeleteRequest(keys=keys), timeout=60))

    async def wait(
        self, *keys: object_pb2.ObjectKey, goal: Any = Goal.WAIT_GOAL_READY, timeout: float = 60
    ) -> list[wait_service_pb2.WaitConditionsResponse]:
        request = wait_service_pb2.WaitConditionsRequest(keys=keys or [key()], goal=goal)
        call = self.waits.WaitConditions(request, timeout=timeout + LATE)
        try:
            return [response async for response in call]
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None


async def checked(call: Any) -> Any:
    """The answer, or the typed error."""
    try:
        return await call
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None


async def eventually(check: Callable[[], Any], timeout: float = 60) -> Any:
    """What `check` gives, once that is true."""
    async with asyncio.timeout(timeout):
        while not (found := check()):  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.005)
        return found


class Harness:
    """One controller after another on one engine and one state folder."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.folder = root / "manifests"
        self.folder.mkdir()
        self.engine = FakeEngine()
        self.driver = FakeDriver(images=[IMAGE], engine=self.engine)
        self.latency: dict[str, float] = {}
        """Seconds that calls of the drivers to come take, by name."""

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator[Client]:
        """A controller that runs for as long as the context is open."""
        self.driver = FakeDriver(
            engine=self.engine,
            pullable=self.driver.pullable,
            state_dir=self.state,
            latency=self.latency,
        )
        # The fake's addresses may be those of somebody's real containers.
        self.driver.containers_reachable = False
        values = {
            "state_dir": self.state,
            "folder": [self.folder],
            "lease_grace": 0.05,
            "recovery_grace": 0.05,
            "rescan_interval": 0.2,
            **settings,
        }
        self.manager = Manager(Settings(**values), make_driver=self._make_driver)
        running = asyncio.create_task(self.manager.run())
        started = asyncio.create_task(self.manager.started.wait())
        await asyncio.wait((running, started), return_when=asyncio.FIRST_COMPLETED, timeout=60)
        if running.done():
            started.cancel()
            await running
        try:
            async with grpc.aio.insecure_channel(self.manager.addresses[0]) as channel:
                yield Client(channel)
        finally:
            self.manager.stop()
            await running

    async def end(self, key_: Key, code: int, logs: bytes = b"") -> None:
        """Ends a container that is ready, and returns once the controller knows that it is no more."""
        self.driver.exit(key_, code, logs)
        await self.until(key_, ConditionType.READY, holds=False)

    async def until(self, key_: Key, type_: ConditionType, *, holds: bool = True) -> None:
        """Returns once the controller tells this of the object."""

        def told() -> bool:
            object_ = self.manager._store.get(key_)
            return object_ is not None and object_.status.is_true(type_) is holds

        await eventually(told)

    def sample(self, name: str, **labels: str) -> float:
        """The value of one of the controller's own metrics."""
        return self._instruments.registry.get_sample_value(name, labels) or 0.0

    def _make_driver(self, _settings: Settings, identity: str, instruments: Instruments) -> FakeDriver:
        self._instruments = instruments
        self.driver.controller_id = identity
        return self.driver

    def write(self, path: str, *documents: Any) -> Path:
        """Drops a manifest file, by temporary file and rename."""
        import json

        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_text("\n---\n".join(d if isinstance(d, str) else json.dumps(d) for d in documents))
        return temporary.replace(target)


class MetricsPage:
    """A metrics page on this machine that fake workloads seem to serve, and how often it was asked for."""

    def __init__(self) -> None:
        self.text = ""
        """What is served; by workload, `texts`."""
        self.texts: dict[str, str] = {}
        self.authorizations: set[str] = set()
        """What was shown to the page."""
        self.status = 200
        self.scrapes = 0
        application = web.Application()
        application.router.add_get("/metrics", self._handle)
        self._runner = web.AppRunner(application)
        self._ports: dict[str, int] = {}

    async def port(self, name: str = "web") -> int:
        """A port of its own for each workload."""
        if name not in self._ports:
            if not self._ports:
                await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
            self._ports[name] = self._runner.addresses[-1][1]
        return self._ports[name]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        self.scrapes += 1
        self.authorizations.add(request.headers.get("Authorization", ""))
        text = self.texts.get(request.query.get("workload", ""), self.text)
        return web.Response(text=text, status=self.status)

    async def workload(
        self, client: Client, name: str = "web", metrics: dict[str, Any] | None = None, **spec: Any
    ) -> None:
        """Makes a workload of which this is the metrics page."""
        ports = {"http": {"containerPort": 80, "hostPort": await self.port(name)}}
        asked = {"port": "http", "path": f"/metrics?workload={name}", **(metrics or {})}
        await client.apply(document(name, ports=ports, metrics=asked, **spec))
        await client.wait(key(name), goal=Goal.WAIT_GOAL_RECONCILED)


def selection(*names: str, name: str = "web", **fields: object) -> metrics.MetricSelection:
    message = metrics.MetricSelection(names=names, **fields)  # type: ignore[arg-type]
    message.key.CopyFrom(key(name))
    return message


def wait_request(*names: str, equals: float, **fields: object) -> metrics.WaitMetricsRequest:
    expectation = metrics.Expectation(type=metrics.EXPECTATION_TYPE_EQUALS, operands=[equals])
    return metrics.WaitMetricsRequest(selection=selection(*names, **fields), expectation=expectation)


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


@pytest.fixture
async def client(harness: Harness) -> AsyncIterator[Client]:
    async with harness.running() as client:
        yield client


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of this machine where nobody answers: the fake's own may be those of real containers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        yield int(silent.getsockname()[1])


@pytest.fixture
async def page() -> AsyncIterator[MetricsPage]:
    page = MetricsPage()
    yield page
    await page.close()


__all__ = [
    "E2EError",
    "Goal",
    "Harness",
    "checked",
    "document",
    "eventually",
    "key",
    "selection",
    "wait_request",
]
