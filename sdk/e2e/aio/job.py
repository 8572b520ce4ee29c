"""A job: a container that is meant to finish."""

from e2e.aio.handle import AsyncHandle
from e2e.aio.session import AsyncSession
from e2e.values import Goal, WorkloadStatus
from e2e_api import manifests


class AsyncJob(AsyncHandle):
    """A handle on one job of an environment; made by `env.job(...)` or `env.get_job(name)`.

    It runs once for what its manifest says; another manifest, or `run_again`, runs it again.
    """

    def __init__(self, session: AsyncSession, manifest: manifests.Job, *, own: bool) -> None:
        super().__init__(session, manifest, own=own)
        self._manifest = manifest

    @property
    def manifest(self) -> manifests.Job:
        """What it shall be; of a job that was looked up, secrets are masked."""
        return self._manifest

    async def start(self) -> None:
        """Asks for the job to run, and does not wait; one that has run as it is asked for is left alone."""
        await self._session.apply([await self._asked_to_be("Running")])

    async def wait_completed(self, *, timeout: float | None = None) -> WorkloadStatus:
        """Waits until it has ended with exit code 0; gives the status.

        Raises WaitFailed when its last try has failed, with exit code and log, and WaitTimeout.
        """
        await self._wait(Goal.COMPLETED, timeout)
        return await self.status()

    async def run(self, *, timeout: float | None = None) -> str:
        """`start`, then `wait_completed`; gives what it has written."""
        await self.start()
        await self.wait_completed(timeout=timeout)
        return await self.logs()

    async def run_again(self) -> None:
        """Runs it once more, whatever became of it before, and does not wait.

        Raises Conflict for a job that a file defines: there, another `spec.runId` does it.
        """
        await self._session.client.run_job(self._key)

    async def _asked_to_be(self, _state: manifests.State) -> manifests.Job:
        """The manifest for the caller to apply; the only state that a job is asked for is to run."""
        await self._check_own()
        return self._manifest
