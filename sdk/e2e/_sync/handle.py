"""What can be done with the container of a workload or of a job."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from e2e import directories
from e2e._sync import containers
from e2e._sync.client import CALL_SECONDS
from e2e._sync.session import Session
from e2e.messages import status_of
from e2e.values import ExecFailed, ExecResult, Goal, WorkloadStatus
from e2e_api import manifests
from e2e_api.errors import NotFound, NotRunning, Unavailable
from e2e_api.v1 import object_pb2


class Handle:
    """What the handles of workloads and jobs have in common."""

    def __init__(self, session: Session, manifest: manifests.ContainerManifest, *, own: bool) -> None:
        self._session = session
        self._name = manifest.metadata.name
        self._kind = manifest.kind
        self._ports = manifest.spec.ports
        self._own = own  # whether the manifest is all there, and may be written again

    @property
    def name(self) -> str:
        """Its name, which is its address for the environment's other containers too."""
        return self._name

    @property
    def _key(self) -> object_pb2.ObjectKey:
        return self._session.key(self._name, self._kind)

    @property
    def dir(self) -> Path:
        """Its own directory, made if it is not there: the same path in every container as on the host.

        Raises Conflict where a container has put a link in its place, and Unavailable with what helps where
        this process does not see it.
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

    def endpoint(self, port: str) -> str:
        """`host:port` where the caller reaches the port of that name: from the host, or from its container.

        Raises NotRunning while it does not run, NotFound for a port that it does not have, and Unavailable
        with the remedy where this process cannot reach it.
        """
        self._port(port)
        try:
            found = (self.status()).endpoints.get(port)
        except NotFound:
            found = None
        if found is not None and found.problem:
            raise Unavailable(f"{self._name}: {found.problem}", reason="NotReachable")
        if found is None or not found.external:
            raise NotRunning(f"{self._name} does not run, so its port {port!r} has no address")
        return found.external

    def _port(self, port: str) -> manifests.Port:
        if port not in self._ports:
            others = f", only {', '.join(self._ports)}" if self._ports else "; its manifest has no ports"
            raise NotFound(f"{self._name} has no port {port!r}{others}")
        return self._ports[port]

    def remove(self, *, timeout: float | None = None) -> None:
        """Removes it, and waits until nothing is left of it; `start` makes it anew."""
        self._session.client.delete([self._key])
        self._session.wait([self._key], Goal.DELETED, timeout)

    def exec(
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
        result = containers.run(
            self._session.client.transport,
            self._key,
            command,
            stdin=stdin.encode() if isinstance(stdin, str) else stdin,
            env=env or {},
            user=user,
            working_dir=working_dir,
            timeout=self._session.seconds(timeout),
        )
        if check and result.exit_code != 0:
            raise ExecFailed(self._name, result)
        return result

    def logs(self, *, tail: int | None = None, timestamps: bool = False) -> str:
        """What it has written to standard output and error so far, or its last `tail` lines."""
        return containers.output(
            self._session.client.transport,
            self._key,
            tail=tail,
            timeout=CALL_SECONDS,
            timestamps=timestamps,
        )

    def follow_logs(self, *, tail: int | None = None, timeout: float | None = None) -> Iterator[str]:
        """The lines that it writes, as they come, beginning with the last `tail` (None: all so far).

        Ends when the container ends. Raises WaitTimeout after `timeout` seconds; None is the environment's.
        """
        return containers.followed_lines(
            self._session.client.transport,
            self._key,
            tail=tail,
            timeout=self._session.seconds(timeout),
        )

    def status(self) -> WorkloadStatus:
        """What the controller knows of it now. Raises NotFound for one that was not started."""
        return status_of(self._session.client.get(self._key))

    def is_running(self) -> bool:
        """Whether its container runs now; False for one that was never started."""
        try:
            return (self.status()).is_running
        except NotFound:
            return False

    def _check_own(self) -> None:
        if not self._own:
            self._session.refuse_change(self._key)

    def _wait(self, goal: Goal, timeout: float | None) -> None:
        self._session.wait([self._key], goal, timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._session.environment}/{self._name}>"
