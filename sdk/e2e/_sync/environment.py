"""An environment: an isolated network, a shared directory, and the workloads in it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from e2e import bundles, evidence, live, naming
from e2e._sync.interactive import Interactive
from e2e._sync.job import Job
from e2e._sync.metrics import InstrumentedTogether
from e2e._sync.overview import Overview
from e2e._sync.session import Session
from e2e._sync.workload import Workload
from e2e.addresses import Controller
from e2e.options import JobOptions, WorkloadOptions
from e2e.specs import environment_spec, new_job, new_manifest
from e2e.values import Goal
from e2e_api import manifests
from e2e_api.errors import E2EError, InvalidArgument
from e2e_api.secrets import MASK
from e2e_api.v1 import object_pb2

DEFAULT_TIMEOUT = 60.0


class Environment(Interactive, InstrumentedTogether, Overview):
    """An isolated place for workloads, that is gone with all that is in it when its block ends.

        with e2e.Environment() as env:
            web = env.workload("web", image="nginx:1.27", ports={"http": 80})
            env.start_and_wait_ready(web)

    What an earlier run left of an environment of the same name is removed first. If this process dies, the
    controller removes everything.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        controller: str | Controller | None = None,
        keep: bool = False,
        shared: bool = False,
        keep_on_failure: bool = False,
        ttl: float | None = None,
        labels: Mapping[str, str] | None = None,
        resources: manifests.Resources | None = None,
        volumes: Sequence[manifests.Volume] = (),
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Nothing is sent yet.

        Args:
            name: a DNS label; None is a name for the calling test or function, the same in each run.
            controller: `unix:///path`, `host:port`, `grpcs://host:port`, or a `Controller` with what TLS and
                tokens need; None is the one that `E2E_CONTROLLER` names, else the embedded one, which is
                started when it does not run.
            keep: leave everything as it is at the end.
            shared: other processes, such as parallel test workers, hold it too: what is there already stays,
                and it goes a little after the last of them has left.
            keep_on_failure: leave everything as it is when the block ends by an exception, for `ttl`.
            ttl: seconds from the end until what was kept is deleted; None: it stays until somebody does.
            labels: of every workload, unless it has them.
            resources: limits of every workload that has none.
            volumes: added to every workload.
            timeout: seconds, for each wait that is given none.
        """
        self._unnamed = name is None
        chosen = naming.calling_test_name() if name is None else naming.check_label(name, "an environment")
        if timeout <= 0:
            raise InvalidArgument(f"timeout: expected seconds above 0, not {timeout}")
        self._controller = controller
        self._keep = keep
        self._shared = shared
        self._keep_on_failure = keep_on_failure
        self._attached = False
        self._spec = environment_spec(
            resources=resources,
            volumes=volumes,
            labels=labels or {},
            keep_on_failure=keep_on_failure,
            ttl=ttl,
        )
        self._session = Session(chosen, controller, timeout)

    @classmethod
    def attach(
        cls, name: str, *, controller: str | Controller | None = None, timeout: float = DEFAULT_TIMEOUT
    ) -> Self:
        """An environment that somebody else defines, such as manifests in a watched folder.

        It is claimed neither at its start nor deleted at its end. Look workloads up with `get`.
        """
        environment = cls(name, controller=controller, keep=True, timeout=timeout)
        environment._attached = True
        return environment

    @property
    def name(self) -> str:
        """Its name: a DNS label."""
        return self._session.environment

    @property
    def keeps_failures(self) -> bool:
        """Whether all stays as it is where the block ends by an exception."""
        return self._keep_on_failure

    @property
    def shared_dir(self) -> Path:
        """The directory that all its containers have, at the same path as on the host.

        Raises NotRunning before the start, and Unavailable with what helps where this process does not see
        it, such as in a container that does not have it.
        """
        return self._session.shared_directory

    def start(self) -> Self:
        """Connects and claims the environment; a `with` block does it by itself.

        Raises Conflict when somebody else holds it, and Unavailable when there is no controller or engine.
        """
        if self._session.is_open:
            return self
        if self._attached:
            self._session.attach()
        else:
            if self._unnamed:
                self._session.environment = naming.claim(self._session.environment)
            try:
                self._session.open(keep=self._keep, fresh=not self._shared)
                self._apply_defaults()
            except BaseException:
                self.close()
                raise
        live.live[self.name] = self._controller
        return self

    def _apply_defaults(self) -> None:
        if self._spec is not None:
            metadata = manifests.Metadata(name=self.name)
            self._session.apply([manifests.Environment(metadata=metadata, spec=self._spec)])

    def close(self) -> None:
        """Deletes everything and waits until it is gone, unless `keep` or `shared`.

        A second call does nothing.
        """
        live.live.pop(self.name, None)
        try:
            try:
                self._session.end_companions(remove=self._attached or self._shared)
            finally:
                self._session.close(delete=not (self._keep or self._shared))
        finally:
            if self._unnamed:
                naming.release(self.name)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            if isinstance(error, Exception):
                self._note_state(error)
            self._keep_if_asked(error)
        finally:
            self._close_after(error)

    def _note_state(self, error: Exception) -> None:
        try:
            live.note_failure(self.name, self.describe())
        except E2EError as second:
            why = str(second).partition("\n")[0]  # without the controller's log, which the error has already
            error.add_note(f"and the state of environment {self.name} is not known: {why}")
        self._bundle_if_asked(error)

    def _keep_if_asked(self, error: BaseException) -> None:
        if not self._keep_on_failure or self._keep:
            return
        try:
            self._session.keep()
        except E2EError as second:
            error.add_note(f"and environment {self.name} could not be kept: {second}")
            return
        self._keep = True
        error.add_note(f"environment {self.name} is kept: `e2e describe environment/{self.name}`")

    def _close_after(self, error: BaseException) -> None:
        try:
            self.close()
        except E2EError as second:
            error.add_note(f"and environment {self.name} was not deleted: {second}")

    def _bundle_if_asked(self, error: Exception) -> None:
        """Writes a bundle where `E2E_BUNDLE_DIR` asks for one; the error gets a note of its path."""
        path = bundles.automatic_path(self.name)
        if path is None:
            return
        try:
            error.add_note(f"evidence of environment {self.name}: {self.bundle(path)}")
        except E2EError as second:
            error.add_note(f"and there is no evidence bundle of environment {self.name}: {second}")

    def workload(self, name: str, **options: Unpack[WorkloadOptions]) -> Workload:
        """Defines a workload; nothing is sent before its start.

        Args:
            name: a DNS label; the other workloads reach it under this name.
            options: see `WorkloadOptions`; exactly one of `image` and `build` is needed.

        Raises InvalidArgument, naming each wrong field.
        """
        naming.check_label(name, "a workload")
        # Without the environment's name, which is only final at the start.
        return Workload(self._session, new_manifest("", name, options), own=True)

    def job(self, name: str, **options: Unpack[JobOptions]) -> Job:
        """Defines a job, a container that is meant to finish; nothing is sent before its start.

        Args:
            name: a DNS label, which no workload of the environment has.
            options: see `JobOptions`; exactly one of `image` and `build` is needed.

        Raises InvalidArgument, naming each wrong field.
        """
        naming.check_label(name, "a job")
        return Job(self._session, new_job("", name, options), own=True)

    def get(self, name: str, *, wait: float = 0.0) -> Workload:
        """A workload that is already defined, wherever that was; a file's can be looked at, not changed.

        Raises NotFound when it is not, nor becomes so within `wait` seconds, and InvalidArgument for one
        whose manifest was never right.
        """
        document, own = self._look_up(self._session.key(name), wait)
        return Workload(self._session, manifests.Workload.model_validate(document), own=own)

    def get_job(self, name: str, *, wait: float = 0.0) -> Job:
        """A job that is already defined; as `get` does for workloads."""
        document, own = self._look_up(self._session.key(name, "Job"), wait)
        return Job(self._session, manifests.Job.model_validate(document), own=own)

    def _look_up(self, key: object_pb2.ObjectKey, wait: float) -> tuple[dict[str, Any], bool]:
        """The manifest, and whether it may be written again: it is whole, and the API may change it."""
        client = self._session.client
        found = client.wait_known(key, wait) if wait > 0 else client.get(key)
        if not found.document:
            raise InvalidArgument(evidence.reason_line(found, Goal.READY))
        document: dict[str, Any] = json.loads(found.document)
        masked = MASK in found.document
        return document, found.managed_by_api and not masked

    def start_and_wait_ready(self, *workloads: Workload | Job, timeout: float | None = None) -> None:
        """Starts all the workloads and jobs at once; waits until all are ready, or completed.

        Raises WaitFailed as soon as one of them cannot become so, and WaitTimeout after `timeout` seconds.
        """
        running = [workload._asked_to_be("Running") for workload in workloads]
        self._session.transition(running, Goal.READY, timeout)

    def wait_ready(self, *workloads: Workload | str, timeout: float | None = None) -> None:
        """Waits until all the workloads, or those of these names, are ready."""
        names = [found if isinstance(found, str) else found.name for found in workloads]
        if names:
            self._session.wait([self._session.key(name) for name in names], Goal.READY, timeout)

    def stop(self, *workloads: Workload, timeout: float | None = None) -> None:
        """Stops all the workloads at once, and waits until all have stopped."""
        stopped = [workload._asked_to_be("Stopped") for workload in workloads]
        self._session.transition(stopped, Goal.STOPPED, timeout)

    def apply(self, documents: str) -> None:
        """Applies manifests in YAML, several separated by `---`; those that name no environment go here.

        Raises InvalidArgument with each mistake; then nothing is applied.
        """
        self._session.client.apply(documents, environment=self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
