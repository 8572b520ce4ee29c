"""A job: a container that is meant to finish."""

from e2e._sync.handle import Handle
from e2e._sync.session import Session
from e2e.values import Goal, WorkloadStatus
from e2e_api import manifests


class Job(Handle):
    """A handle on one job of an environment; made by `env.job(...)` or `env.get_job(name)`.

    It runs once for what its manifest says; another manifest, or `run_again`, runs it again.
    """

    def __init__(self, session: Session, manifest: manifests.Job, *, own: bool) -> None:
        super().__init__(session, manifest, own=own)
        self._manifest = manifest

    @property
    def manifest(self) -> manifests.Job:
        """What it shall be; of a job that was looked up, secrets are masked."""
        return self._manifest

    def start(self) -> None:
        """Asks for the job to run, and does not wait; one that has run as it is asked for is left alone."""
        self._session.apply([self._asked_to_be("Running")])

    def wait_completed(self, *, timeout: float | None = None) -> WorkloadStatus:
        """Waits until it has ended with exit code 0; gives the status.

        Raises WaitFailed when its last try has failed, with exit code and log, and WaitTimeout.
        """
        self._wait(Goal.COMPLETED, timeout)
        return self.status()

    def run(self, *, timeout: float | None = None) -> str:
        """`start`, then `wait_completed`; gives what it has written."""
        self.start()
        self.wait_completed(timeout=timeout)
        return self.logs()

    def run_again(self) -> None:
        """Runs it once more, whatever became of it before, and does not wait.

        Raises Conflict for a job that a file defines: there, another `spec.runId` does it.
        """
        self._session.client.run_job(self._key)

    def _asked_to_be(self, _state: manifests.State) -> manifests.Job:
        """The manifest for the caller to apply; the only state that a job is asked for is to run."""
        self._check_own()
        return self._manifest
