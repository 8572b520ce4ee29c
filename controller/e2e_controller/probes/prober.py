"""Keeps an eye on the readiness of workloads."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from e2e_api.manifests import (
    ExecProbe,
    GrpcProbe,
    HealthcheckProbe,
    HttpProbe,
    LogProbe,
    Port,
    Readiness,
    TcpProbe,
)
from e2e_controller.drivers.base import Container, Driver, EngineInfo, Key
from e2e_controller.httpclient import LazySession
from e2e_controller.probes.checks import (
    Answer,
    Check,
    PolledCheck,
    PushedCheck,
    ReachedCheck,
    Target,
    address_of,
)
from e2e_controller.probes.command import ExecCheck
from e2e_controller.probes.health import GrpcCheck, HealthcheckCheck
from e2e_controller.probes.http import HttpCheck
from e2e_controller.probes.log import LogCheck
from e2e_controller.probes.tcp import TcpCheck
from e2e_controller.probes.watched import ProbeReport, Watched


@dataclass(frozen=True, slots=True)
class _Identity:
    """What makes a watch another one, that starts from scratch."""

    container_id: str
    started_at: datetime | None
    readiness: Readiness
    target: Target | None


class Prober:
    """One task for each workload that is watched; all timing is by the event loop's clock."""

    def __init__(
        self,
        driver: Driver,
        info: EngineInfo,
        changed: Callable[[Key], None],
        now: Callable[[], datetime],
        attempted: Callable[[str, float, bool], None] = lambda _kind, _seconds, _ready: None,
        answered: Callable[[Key], None] = lambda _key: None,
        reach: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`reach` is awaited before an environment's containers are asked at their own addresses.

        `changed` is told of each flip of `ready` or `timed_out`.

        `answered` is told now and then that what is not ready gives another answer than before.
        `attempted` is told of each attempt: the kind of probe, how long it took in seconds, the outcome.
        """
        self._driver = driver
        self._info = info
        self._changed = changed
        self._now = now
        self._attempted = attempted
        self._answered = answered
        self._reach = reach
        self._session = LazySession(keep_alive=False)
        self._watched: dict[Key, tuple[_Identity, Watched]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def watch(self, key: Key, container: Container, readiness: Readiness, ports: Mapping[str, Port]) -> None:
        """Asks from now on. Goes on where the same run of the same container is watched already."""
        port = ports.get(getattr(readiness.probe, "port", ""))
        target = address_of(self._info, container, port) if port else None
        identity = _Identity(container.id, container.started_at, readiness, target)
        known = self._watched.get(key)
        if known is None or known[0] != identity:
            self.forget(key)
            known = identity, self._begin(key, container, readiness, target)
            self._watched[key] = known
        check = known[1].check
        if isinstance(check, HealthcheckCheck) and check.health is not container.health:
            check.health, check.output = container.health, container.health_output
            known[1].tell()

    def forget(self, key: Key) -> None:
        """Stops asking."""
        known = self._watched.pop(key, None)
        if known is not None:
            task = known[1].task
            known[1].stop()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def report(self, key: Key, container: Container) -> ProbeReport | None:
        """What is known of this run of the container; None if it is not the one watched."""
        known = self._watched.get(key)
        if known is None:
            return None
        identity, watched = known
        if (identity.container_id, identity.started_at) != (container.id, container.started_at):
            return None
        return watched.report

    async def aclose(self) -> None:
        """Stops asking anything."""
        for key in list(self._watched):
            self.forget(key)
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._session.aclose()

    def _begin(self, key: Key, container: Container, readiness: Readiness, target: Target | None) -> Watched:
        check = self._check(container, readiness, target)
        reach = self._reach
        if isinstance(check, PolledCheck) and target and not target.proxied and reach is not None:
            check = ReachedCheck(check, lambda: reach(key.environment))
        kind = type(readiness.probe).__name__.removesuffix("Probe").lower()
        return Watched(
            container,
            readiness,
            check,
            changed=lambda: self._changed(key),
            answered=lambda: self._answered(key),
            now=self._now,
            attempted=lambda seconds, ready: self._attempted(kind, seconds, ready),
            crowd=lambda: sum(watched.is_hurried for _, watched in self._watched.values()),
        )

    def _check(self, container: Container, readiness: Readiness, target: Target | None) -> Check:
        match readiness.probe:
            case ExecProbe(command=command):
                return ExecCheck(self._driver, container.id, command)
            case LogProbe() as probe:
                return LogCheck(self._driver, container, probe)
            case HealthcheckProbe():
                return HealthcheckCheck()
            case HttpProbe() as probe if target:
                return HttpCheck(target, probe, self._session)
            case TcpProbe() if target:
                return TcpCheck(target, readiness.timeout)
            case GrpcProbe(service=service) if target:
                return GrpcCheck(target, service)
        return _NoAddress(getattr(readiness.probe, "port", ""))


class _NoAddress(PushedCheck):
    """Stands in while a port has no address that this process reaches; one comes with another `watch`."""

    def __init__(self, port: str) -> None:
        self.request = f"port {port}"
        self._answer = Answer(False, "the container has no address that the controller reaches")

    def look(self) -> Answer:
        return self._answer
