"""What the controller knows of an environment as a whole."""

from pathlib import Path

from e2e import evidence
from e2e.aio.session import AsyncSession
from e2e.messages import CONTAINER_KINDS, environment_summary_of, status_of
from e2e.values import EnvironmentSummary, WorkloadStatus


class AsyncOverview:
    """What can be asked about all that is in an environment; nothing of it changes."""

    _session: AsyncSession

    async def statuses(self) -> dict[str, WorkloadStatus]:
        """What the controller knows of all its workloads and jobs, by name."""
        objects = await self._session.client.list_objects(self._session.environment)
        return {found.key.name: status_of(found) for found in objects if found.key.kind in CONTAINER_KINDS}

    async def summary(self) -> EnvironmentSummary | None:
        """Its line in the list of environments; None where nothing is left of it."""
        for found in await self._session.client.list_environments():
            if found.environment == self._session.environment:
                return environment_summary_of(found)
        return None

    async def describe(self) -> str:
        """A table of its objects for people, with the evidence of those that are not ready."""
        return evidence.describe(await self._session.client.list_objects(self._session.environment))

    async def bundle(self, path: str | Path | None = None, *, log_bytes: int = 0) -> Path:
        """Writes an archive of all that is known of it, secrets masked; see `Client.bundle`."""
        return await self._session.client.bundle(self._session.environment, path, log_bytes=log_bytes)
