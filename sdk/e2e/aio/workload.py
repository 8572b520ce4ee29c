"""A workload: a container that is meant to keep running, and all that can be done with it."""

from typing import Unpack

from e2e import browser
from e2e.aio.metrics import AsyncInstrumented
from e2e.aio.profiled import AsyncProfiled
from e2e.aio.session import AsyncSession
from e2e.options import WorkloadOptions
from e2e.specs import changed_manifest, url_scheme, with_state
from e2e.values import Goal, WorkloadStatus
from e2e_api import manifests


class AsyncWorkload(AsyncProfiled, AsyncInstrumented):
    """A handle on one workload of an environment; made by `env.workload(...)` or `env.get(name)`.

    Every verb that waits takes a `timeout` in seconds, None for the environment's, and raises WaitFailed at
    once when what it waits for can no longer be, or WaitTimeout; the error's text has the evidence.
    """

    def __init__(self, session: AsyncSession, manifest: manifests.Workload, *, own: bool) -> None:
        super().__init__(session, manifest, own=own)
        self._manifest = manifest

    @property
    def manifest(self) -> manifests.Workload:
        """What it shall be; of a workload that was looked up, secrets are masked."""
        return self._manifest

    async def start(self) -> None:
        """Asks for the workload to run, and does not wait; one that was stopped runs again.

        One that has ended by itself stays as it is: `restart` runs it again.
        """
        await self._session.apply([await self._asked_to_be("Running")])

    async def wait_ready(self, *, timeout: float | None = None) -> None:
        """Waits until it is ready, or runs if it has no readiness probe."""
        await self._wait(Goal.READY, timeout)

    async def wait_not_ready(self, *, timeout: float | None = None) -> None:
        """Waits until it is not ready any more."""
        await self._wait(Goal.NOT_READY, timeout)

    async def wait_running(self, *, timeout: float | None = None) -> None:
        """Waits until its container runs."""
        await self._wait(Goal.RUNNING, timeout)

    async def wait_exited(self, *, timeout: float | None = None) -> WorkloadStatus:
        """Waits until its container has ended by itself; gives the status, with exit code and log."""
        await self._wait(Goal.EXITED, timeout)
        return await self.status()

    async def start_and_wait_ready(self, *, timeout: float | None = None) -> None:
        """`start`, then `wait_ready`."""
        await self.start()
        await self.wait_ready(timeout=timeout)

    async def stop(self, *, timeout: float | None = None) -> None:
        """Stops it as its `stop` says (a signal, and after the grace period a kill), and waits for it."""
        await self._transition("Stopped", Goal.STOPPED, timeout)

    async def kill(self, *, timeout: float | None = None) -> None:
        """Kills it, and waits until it is dead."""
        await self._transition("Killed", Goal.STOPPED, timeout)

    async def pause(self, *, timeout: float | None = None) -> None:
        """Freezes all its processes, and waits for that."""
        await self._transition("Paused", Goal.PAUSED, timeout)

    async def unpause(self, *, timeout: float | None = None) -> None:
        """Lets it go on, and waits for that."""
        await self._transition("Running", Goal.RUNNING, timeout)

    async def restart(self, *, timeout: float | None = None) -> None:
        """`stop`, then `start`, then waits until it is ready. Its addresses stay the same."""
        await self.stop(timeout=timeout)
        await self.start_and_wait_ready(timeout=timeout)

    async def open_in_browser(self, path: str = "", port: str = "http") -> bool:
        """Opens a page of it in the user's browser, or prints its address: see `e2e.open_in_browser`.

        Args:
            path: the page's, such as `/graph?g0.expr=up`.
            port: the name of the port that serves it.

        Raises NotRunning while it does not run, and NotFound for a port that it does not have.
        """
        address = await self.endpoint(port)
        return browser.open_in_browser(f"{url_scheme(self._manifest, port)}://{address}/{path.lstrip('/')}")

    async def update(self, **changes: Unpack[WorkloadOptions]) -> None:
        """Changes what it is, as `env.workload` takes it, and does not wait: its container is made anew.

        Raises InvalidArgument for what it cannot be; then it stays as it is.
        """
        await self._check_own()
        changed = changed_manifest(self._manifest, changes)
        await self._session.apply([changed])
        self._manifest, self._ports = changed, changed.spec.ports

    async def _asked_to_be(self, state: manifests.State) -> manifests.Workload:
        """The manifest with that state, for the caller to apply."""
        await self._check_own()
        self._manifest = with_state(self._manifest, state)
        return self._manifest

    async def _transition(self, state: manifests.State, goal: Goal, timeout: float | None) -> None:
        await self._session.transition([await self._asked_to_be(state)], goal, timeout)
