"""A Prometheus that watches an environment, with a cAdvisor beside it, and this process among its targets."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from e2e import cadvisor as usage
from e2e import cgroups
from e2e.aio.companion import AsyncCompanion
from e2e.aio.environment import AsyncEnvironment
from e2e.aio.queries import AsyncQueries
from e2e.aio.workload import AsyncWorkload
from e2e.matchers import equals
from e2e.messages import environment_key
from e2e.prometheus.configuration import CONTROLLER_PATH, METRICS_PATH, PROCESS_JOB, process_targets
from e2e.prometheus.manifests import Setup
from e2e.prometheus.program import IMAGE
from e2e.serving import ControllerPage, MetricsServer, Page, registry_page
from e2e.values import Goal
from e2e_api.errors import E2EError, InvalidArgument, Unavailable, WaitTimeout

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LOOK_SECONDS = 5.0
NAME = "monitoring"
"""Of the Prometheus, unless another is given."""


async def start(
    env: AsyncEnvironment,
    *,
    name: str = NAME,
    scrape_interval: float = 1.0,
    image: str = IMAGE,
    cadvisor: bool = True,
    registry: "CollectorRegistry | None" = None,
    rules: str | Mapping[str, Any] | None = None,
    test_process: bool = True,
    current_process_as_container: bool | str = False,
    engine_data: str = usage.ENGINE_DATA,
    engine_socket: str = usage.ENGINE_SOCKET,
    timeout: float | None = None,
) -> "AsyncMonitoring":
    """Starts a Prometheus in the environment that scrapes all its instrumented workloads.

    Those that come later are discovered, those that are gone are forgotten, within a scrape interval of
    Prometheus' own look at its targets, which it takes every five seconds. Series have the labels `job`,
    `instance`, `environment`, `workload` and the workload's own.

    Args:
        env: an environment that is started.
        name: of the Prometheus; a cAdvisor is `<name>-cadvisor`.
        scrape_interval: seconds.
        image: of the Prometheus.
        cadvisor: whether what the containers use is scraped, too, as job `cadvisor`, with the label
            `workload`.
        registry: this process' metrics, as job `test-process`; None is prometheus_client's default registry.
            They are served to the environment's containers alone, as the controller's are, which are job
            `e2e-controller`.
        rules: alerting and recording rules, as text or as a mapping with `groups`.
        current_process_as_container: also put this process and its future children into a cgroup of its own,
            so that cAdvisor shows what they use like a container's, as workload `test-process`, or of the
            name that is given: see `e2e.cgroups`.
        test_process: False scrapes neither this process nor the controller, for an engine that is on another
            machine.
        engine_data: the engine's own folder, as `docker info` shows it ("Docker Root Dir"), for cAdvisor.
        engine_socket: the engine's socket, likewise.
        timeout: seconds until the first scrape of this process has succeeded; None is the environment's.

    Raises WaitFailed and WaitTimeout with what stands in the way, such as an image that cannot be had or the
    last error of a scrape; Conflict where there is something of that name; and Unavailable where no container
    can reach this process. Then nothing is left of it.
    """
    if current_process_as_container and not cadvisor:
        raise InvalidArgument("current_process_as_container needs cAdvisor, which shows it")
    setup = Setup(
        scrape_interval,
        image,
        rules,
        process=test_process,
        cadvisor=f"{name}-cadvisor" if cadvisor else "",
        environment=env.name,
    )
    places = {"engine_data": engine_data, "engine_socket": engine_socket}
    monitoring = AsyncMonitoring(env, name, setup, registry, places)
    try:
        if current_process_as_container:
            monitoring._enter(current_process_as_container)
        await monitoring._begin(env._session.seconds(timeout))
    except BaseException as error:
        await monitoring._give_up(error)
        raise
    return monitoring


class AsyncMonitoring(AsyncCompanion, AsyncQueries):
    """What `start` gives; it ends with its block, with `close`, and with the environment.

    async with await e2e.monitoring.start(env) as monitoring:
        await monitoring.wait_query('up{job="web"}', equals(1))
    """

    def __init__(
        self,
        env: AsyncEnvironment,
        name: str,
        setup: Setup,
        registry: "CollectorRegistry | None",
        places: Mapping[str, str],
    ) -> None:
        self.prometheus: AsyncWorkload = env.workload(name, **setup.options())
        """The Prometheus."""
        self.cadvisor: AsyncWorkload | None = None
        """The cAdvisor, unless it was not wanted."""
        if setup.cadvisor:
            self.cadvisor = env.workload(setup.cadvisor, **usage.options(**places))
        super().__init__(self.prometheus)
        self._env = env
        self._session = env._session
        self._setup = setup
        self._registry = registry
        self._places = places
        self._server: MetricsServer | None = None
        self._controller_page: ControllerPage | None = None
        self.process: cgroups.ProcessContainer | None = None
        """This process as a container, if it was asked for."""
        self._applied: list[AsyncWorkload] = []

    async def open_in_browser(self, path: str = "") -> bool:
        """Opens a page of Prometheus in the user's browser, such as `/targets`: see `e2e.open_in_browser`."""
        return await self.prometheus.open_in_browser(path)

    async def end(self, *, remove: bool) -> None:
        """What an environment that ends asks of it."""
        for running in (self._server, self._controller_page):
            if running is not None:
                running.close()
        applied, self._applied = self._applied, []
        try:
            if self.process is not None:
                self.process.close()
        finally:
            await self._remove(applied if remove else [])

    async def _remove(self, applied: Sequence[AsyncWorkload]) -> None:
        if applied:
            await self._session.client.delete([workload._key for workload in applied])
            await self._session.wait([workload._key for workload in applied], Goal.DELETED, None)

    def _enter(self, name: str | bool) -> None:
        """Makes this process a container."""
        chosen = name if isinstance(name, str) else PROCESS_JOB
        self.process = cgroups.current_process_as_container(chosen, self._env.name)
        parents = {str(PurePosixPath(path).parent) for path in self.process.paths.values()}
        options = usage.options(sorted(parents), **self._places)
        self.cadvisor = self._env.workload(self._setup.cadvisor, **options)

    async def _begin(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        workloads = [self.prometheus, *([self.cadvisor] if self.cadvisor else [])]
        await self._accompany(*workloads)
        self._applied = workloads
        await self._session.apply([await workload._asked_to_be("Running") for workload in workloads])
        if self._setup.process:
            await self._serve(_left(deadline))
        await self._env.wait_ready(*workloads, timeout=_left(deadline))
        await self._wait_scraped(_left(deadline))

    async def _serve(self, seconds: float) -> None:
        """Serves in the environment's network, and tells Prometheus where."""
        await self._session.wait([environment_key(self._env.name)], Goal.READY, seconds)
        summary = await self._env.summary()
        if summary is None or not summary.subnet:
            raise Unavailable(f"the address range of {self._env.name}'s network is not known")
        self._controller_page = ControllerPage(self._session.client.target)
        pages: dict[str, Page] = {
            METRICS_PATH: registry_page(self._registry),
            CONTROLLER_PATH: self._controller_page,
        }
        self._server = MetricsServer(summary.subnet, pages)
        targets = process_targets(self._server.address, self._env.name)
        await self.prometheus.update(files=self._setup.files(json.dumps(targets)))

    async def _wait_scraped(self, seconds: float) -> None:
        """Waits until the first scrape has succeeded, of this process if it is scraped."""
        job = PROCESS_JOB if self._setup.process else self.prometheus.name
        instance = PROCESS_JOB if self._setup.process else self.prometheus.internal_endpoint("http")
        try:
            await self.wait_query(f'up{{job="{job}",instance="{instance}"}}', equals(1), seconds)
        except WaitTimeout as error:
            first, *more = error.message.splitlines()
            lines = [f"{job} was not scraped in time: {first}", *more]
            lines += [f"  {line}" for line in await self._scrapes(job)]
            raise WaitTimeout("\n".join(lines), reason="NotScraped") from None

    async def _scrapes(self, job: str) -> list[str]:
        """What is known of a job's scrapes."""
        lines = [self._server.trouble] if self._server is not None and self._server.trouble else []
        try:
            found = [target for target in await self.targets() if target.job == job]
        except E2EError as error:
            return [*lines, error.message]
        lines += [f"target {target.url} is {target.health}: {target.last_error}" for target in found]
        if not found:
            lines.append(f"Prometheus has no target of job {job} yet")
        if any(target.last_scrape is None for target in found):
            interval = f"{self._setup.scrape_interval:g}"
            lines.append(f"it is scraped for the first time within the scrape interval of {interval} s")
        if any("deadline" in target.last_error for target in found):
            lines.append("a firewall may stand between the environment's network and this machine")
        return lines

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._env.name}/{self.prometheus.name}>"


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
