"""A workload: a container that is meant to keep running, and all that can be done with it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from e2e import directories
from e2e.aio import containers
from e2e.aio.metrics import AsyncInstrumented
from e2e.aio.session import AsyncSession
from e2e.messages import status_of
from e2e.specs import WorkloadOptions, changed_manifest, with_state
from e2e.values import ExecFailed, ExecResult, Goal, WorkloadStatus
from e2e_api import manifests
from e2e_api.errors import NotFound, NotRunning


class AsyncWorkload(AsyncInstrumented):
    """A handle on one workload of an environment; made by `env.workload(...)` or `env.get(name)`.

    Every verb that waits takes a `timeout` in seconds, None for the environment's, and raises WaitFailed at
    once when what it waits for can no longer be, or WaitTimeout; the error's text has the evidence.
    """

    def __init__(self, session: AsyncSession, manifest: manifests.Workload, *, own: bool) -> None:
        super().__init__(session, manifest.metadata.name)
        self._manifest = manifest
        self._own = own  # whether the manifest is all there, and may be written again

    @property
    def name(self) -> str:
        """Its name, which is its address for the other workloads too."""
        return self._name

    @property
    def manifest(self) -> manifests.Workload:
        """What it shall be; of a workload that was looked up, secrets are masked."""
        return self._manifest

    @property
    def dir(self) -> Path:
        """Its own directory, made if it is not there: the same path in every container as on the host.

        Raises Conflict where a container has put a link in its place.
        """
        return directories.make_open(self._session.shared_directory, self._name)

    def write_file(self, path: str, content: str | bytes) -> Path:
        """Writes a file below `dir`, with its folders; gives its path, which containers see too.

        Raises InvalidArgument for a path that leads out of `dir`, and Conflict where a link is in its way.
        """
        data = content.encode() if isinstance(content, str) else content
        return directories.write_file(self.dir, path, data)

    def internal_endpoint(self, port: str) -> str:
        """`name:port` for other workloads of the environment; known before start. `port` is a port's name.

        Raises NotFound for a port that it does not have.
        """
        return f"{self._name}:{self._port(port).container_port}"

    async def endpoint(self, port: str) -> str:
        """`host:port` where the caller reaches the port of that name.

        Raises NotRunning while it does not run, and NotFound for a port that it does not have.
        """
        self._port(port)
        try:
            found = (await self.status()).endpoints.get(port)
        except NotFound:
            found = None
        if found is None or not found.external:
            raise NotRunning(f"{self._name} does not run, so its port {port!r} has no address")
        return found.external

    def _port(self, port: str) -> manifests.Port:
        ports = self._manifest.spec.ports
        if port not in ports:
            raise NotFound(f"{self._name} has no port {port!r}, only {', '.join(ports) or 'none'}")
        return ports[port]

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

    async def update(self, **changes: Unpack[WorkloadOptions]) -> None:
        """Changes what it is, as `env.workload` takes it, and does not wait: its container is made anew.

        Raises InvalidArgument for what it cannot be; then it stays as it is.
        """
        await self._check_own()
        changed = changed_manifest(self._manifest, changes)
        await self._session.apply([changed])
        self._manifest = changed

    async def remove(self, *, timeout: float | None = None) -> None:
        """Removes it, and waits until nothing is left of it; `start` makes it anew."""
        key = self._session.key(self._name)
        await self._session.client.delete([key])
        await self._session.wait([key], Goal.DELETED, timeout)

    async def exec(
        self,
        command: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        check: bool = True,
        timeout: float | None = None,
    ) -> ExecResult:
        """Runs a command in its container, to the end.

        Args:
            command: the words of the command; there is no shell unless it names one.
            stdin: standard input; None is end of file at once.
            env: variables on top of the container's.
            user: another user than the container's.
            working_dir: another directory than the container's.
            check: raise ExecFailed for any exit code but 0.
            timeout: seconds.

        Raises ExecFailed, NotRunning while the workload does not run, and WaitTimeout.
        """
        result = await containers.run(
            self._session.client.transport,
            self._session.key(self._name),
            command,
            stdin=stdin.encode() if isinstance(stdin, str) else stdin,
            env=env or {},
            user=user,
            working_dir=working_dir,
            timeout=self._session.timeout if timeout is None else timeout,
        )
        if check and result.exit_code != 0:
            raise ExecFailed(self._name, result)
        return result

    async def logs(self, *, tail: int | None = None, timestamps: bool = False) -> str:
        """What it has written to standard output and error so far, or its last `tail` lines."""
        return await containers.output(
            self._session.client.transport, self._session.key(self._name), tail=tail, timestamps=timestamps
        )

    def follow_logs(self, *, tail: int | None = None, timeout: float | None = None) -> AsyncIterator[str]:
        """The lines that it writes, as they come, beginning with the last `tail` (None: all so far).

        Ends when the container ends. Raises WaitTimeout after `timeout` seconds; None is the environment's.
        """
        return containers.followed_lines(
            self._session.client.transport,
            self._session.key(self._name),
            tail=tail,
            timeout=self._session.timeout if timeout is None else timeout,
        )

    async def status(self) -> WorkloadStatus:
        """What the controller knows of it now. Raises NotFound for one that was not started."""
        return status_of(await self._session.client.get(self._session.key(self._name)))

    async def is_running(self) -> bool:
        """Whether its container runs now; False for one that was never started."""
        try:
            return (await self.status()).is_running
        except NotFound:
            return False

    async def _check_own(self) -> None:
        if not self._own:
            await self._session.refuse_change(self._name)

    async def _wait(self, goal: Goal, timeout: float | None) -> None:
        await self._session.wait([self._session.key(self._name)], goal, timeout)

    async def _asked_to_be(self, state: manifests.State) -> manifests.Workload:
        """The manifest with that state, for the caller to apply."""
        await self._check_own()
        self._manifest = with_state(self._manifest, state)
        return self._manifest

    async def _transition(self, state: manifests.State, goal: Goal, timeout: float | None) -> None:
        await self._session.transition([await self._asked_to_be(state)], goal, timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._session.environment}/{self._name}>"
