"""What an environment and its workloads share: the connection, the lease, and where the files are."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from e2e._sync._transport import pause
from e2e._sync.client import Client
from e2e._sync.companion import Companion
from e2e._sync.lease import Lease
from e2e.addresses import Controller
from e2e.messages import container_key, environment_key, is_defined_by_user
from e2e.specs import to_documents
from e2e.values import Goal
from e2e_api.errors import Conflict, InvalidArgument, NotFound, NotRunning, Unavailable
from e2e_api.manifests import ContainerManifest, Manifest
from e2e_api.v1 import object_pb2

_CONNECT_ATTEMPTS = 3
_RESTART_SECONDS, _RETRY_SECONDS = 10.0, 0.1
"""How long a controller may need to be there again, and how often it is asked meanwhile."""


class Session:
    """One environment at one controller; `timeout` in seconds is that of waits that are given none."""

    def __init__(self, environment: str, controller: str | Controller | None, timeout: float) -> None:
        self.environment = environment
        self.timeout = timeout
        self._controller = controller
        self._client: Client | None = None
        self._lease: Lease | None = None
        self._shared_directory = ""
        self._no_directory = ""
        """Why this process does not see it."""
        self.companions: list[Companion] = []
        """What ends before the environment does, the latest first."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._client is not None

    @property
    def client(self) -> Client:
        """The connection. Raises NotRunning before the environment's start and after its end."""
        if self._client is None:
            raise NotRunning(
                f"environment {self.environment} is not started: use it in a `with` block, or call start()"
            )
        return self._client

    @property
    def shared_directory(self) -> Path:
        """Raises NotRunning while it is not known, and Unavailable where this process does not see it."""
        _ = self.client
        if not self._shared_directory and self._no_directory:
            raise Unavailable(f"environment {self.environment}: {self._no_directory}", reason="NoDirectory")
        if not self._shared_directory:
            raise NotRunning(f"environment {self.environment} has no directory here: it has no objects yet")
        return Path(self._shared_directory)

    def key(self, name: str, kind: str = "Workload") -> object_pb2.ObjectKey:
        """The key of one of the environment's workloads or jobs."""
        return container_key(self.environment, name, kind)

    def open(self, *, keep: bool, fresh: bool) -> None:
        """Connects and claims the environment; with `fresh`, without what an earlier run left of it.

        An embedded controller may have ended, being idle, just before the claim: then another one is started.
        """
        for attempt in range(_CONNECT_ATTEMPTS):
            client = Client.connect(self._controller)
            try:
                held = client.hold(self.environment, fresh=fresh, keep=keep, timeout=self.timeout)
            except BaseException as error:
                client.close()
                again = isinstance(error, Unavailable) and client.target.embedded
                if not again or attempt + 1 == _CONNECT_ATTEMPTS:
                    raise
                continue
            self._client, self._lease = client, Lease(client, self.environment, held, keep=keep)
            self._shared_directory = held.first.shared_directory
            self._no_directory = held.first.shared_directory_problem
            return

    def attach(self) -> None:
        """Connects, and claims nothing."""
        client = Client.connect(self._controller)
        try:
            self._find_shared_directory(client)
        except BaseException:
            client.close()
            raise
        self._client = client

    def _find_shared_directory(self, client: Client) -> None:
        for found in client.list_environments():
            if found.environment == self.environment:
                self._shared_directory = found.shared_directory
                self._no_directory = found.shared_directory_problem

    def keep(self) -> None:
        """Asks the controller to leave everything as it is when the claim ends."""
        held = self.client.hold(self.environment, fresh=False, keep=True, timeout=self.timeout)
        held.release()

    def end_companions(self, *, remove: bool) -> None:
        """Ends all of them, also where one fails."""
        while self.companions:
            try:
                self.companions.pop().end(remove=remove)
            except BaseException:
                self.end_companions(remove=remove)
                raise

    def close(self, *, delete: bool) -> None:
        """Ends the claim and the connection; with `delete`, all that was applied first."""
        if self._client is None:
            return
        client = self._client
        try:
            if delete:
                self._delete(client)
            self._release()
            if delete:
                self._wait_until_gone(client)
        finally:
            self._release()
            self._client = None
            client.close()

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def _delete(self, client: Client) -> None:
        """Deletes what was applied; a controller that is just being started again gets the time for that."""
        deadline = time.monotonic() + _RESTART_SECONDS
        while True:
            try:
                client.delete_environment(self.environment)
                return
            except Unavailable:
                if self._lease is None or time.monotonic() > deadline:
                    raise
            pause(_RETRY_SECONDS)

    def _wait_until_gone(self, client: Client) -> None:
        """Waits until all is gone but what users' files define, and the environment with it, if it can go."""
        objects = client.list_objects(self.environment)
        if any(is_defined_by_user(found) for found in objects):
            keys = [found.key for found in objects if found.managed_by_api or found.deleting]
        else:
            keys = [environment_key(self.environment)]
        if keys:
            self.wait(keys, Goal.DELETED, None)

    def apply(self, manifests: Iterable[Manifest]) -> None:
        """Makes the manifests the desired state."""
        self.client.apply(to_documents(manifests), environment=self.environment)

    def seconds(self, timeout: float | None) -> float:
        """How long to wait at most. Raises InvalidArgument for less than no time."""
        seconds = self.timeout if timeout is None else timeout
        if not seconds >= 0:
            raise InvalidArgument(f"timeout: expected seconds, 0 or more, not {seconds}")
        return seconds

    def wait(
        self, keys: Iterable[object_pb2.ObjectKey], goal: Goal, timeout: float | None
    ) -> dict[str, object_pb2.Object]:
        """Waits until all objects meet the goal. Something that is not there counts as deleted."""
        seconds = self.seconds(timeout)
        try:
            return self.client.wait(keys, goal, seconds)
        except NotFound:
            if goal is Goal.DELETED:
                return {}
            raise

    def transition(self, changed: Sequence[ContainerManifest], goal: Goal, timeout: float | None) -> None:
        """Applies all the changed workloads and jobs at once, and waits until they meet the goal."""
        seconds = self.seconds(timeout)
        if changed:
            self.apply(changed)
            keys = [self.key(manifest.metadata.name, manifest.kind) for manifest in changed]
            self.wait(keys, goal, seconds)

    def refuse_change(self, key: object_pb2.ObjectKey) -> None:
        """Raises Conflict: a user's file defines it, or its manifest came back with its secrets masked."""
        found = self.client.get(key)
        raise Conflict(
            f"{key.name} is defined in {found.source or 'another place'}; change it there: what was looked "
            "up with get() is for waiting, metrics, exec and logs"
        )
