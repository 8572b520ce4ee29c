"""What the controller knows of an environment as a whole."""

from pathlib import Path

from e2e import evidence
from e2e._sync.session import Session
from e2e.messages import CONTAINER_KINDS, environment_summary_of, status_of
from e2e.values import EnvironmentSummary, WorkloadStatus


class Overview:
    """What can be asked about all that is in an environment; nothing of it changes."""

    _session: Session

    def statuses(self) -> dict[str, WorkloadStatus]:
        """What the controller knows of all its workloads and jobs, by name."""
        objects = self._session.client.list_objects(self._session.environment)
        return {found.key.name: status_of(found) for found in objects if found.key.kind in CONTAINER_KINDS}

    def summary(self) -> EnvironmentSummary | None:
        """Its line in the list of environments; None where nothing is left of it."""
        for found in self._session.client.list_environments():
            if found.environment == self._session.environment:
                return environment_summary_of(found)
        return None

    def describe(self) -> str:
        """A table of its objects for people, with the evidence of those that are not ready."""
        return evidence.describe(self._session.client.list_objects(self._session.environment))

    def bundle(self, path: str | Path | None = None, *, log_bytes: int = 0) -> Path:
        """Writes an archive of all that is known of it, secrets masked; see `Client.bundle`."""
        return self._session.client.bundle(self._session.environment, path, log_bytes=log_bytes)
