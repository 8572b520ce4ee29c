"""One connection to a controller: its verbs for manifests and environments, with typed errors."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from e2e import evidence
from e2e._sync._transport import Held, Transport, in_thread
from e2e._sync.containers import output
from e2e.addresses import Controller, Target, resolve
from e2e.bundles import BundleWriter, target_path
from e2e.messages import GOALS
from e2e.values import Goal
from e2e_api.errors import DEADLINE_MARGIN, E2EError, NotFound, Unavailable, WaitFailed, WaitTimeout
from e2e_api.v1 import (
    environment_service_pb2,
    evidence_service_pb2,
    manifest_service_pb2,
    object_pb2,
    wait_service_pb2,
)

CALL_SECONDS = 30.0
"""The deadline of calls that wait for nothing."""
BUNDLE_SECONDS = 300.0
_MOST_LOGS, _LOG_SECONDS = 3, 2.0
"""How many logs a timeout shows, and how long each may take."""


class Client:
    """A connection to one controller. All its verbs raise E2EError and its children only."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.transport = Transport(target)

    @classmethod
    def connect(cls, controller: str | Controller | None = None) -> Self:
        """Connects to `controller`, else to the one `E2E_CONTROLLER` names.

        `controller` is an address (`unix:///path`, `host:port`, `grpcs://host:port`), or a `Controller` with
        what TLS and tokens need.

        With neither, the embedded controller is used, and started if it does not run. Nothing is sent yet
        to a named one: a controller that is not there shows at the first call.
        """
        return cls(in_thread(resolve, controller))

    def close(self) -> None:
        """Ends the connection."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def apply(
        self, documents: str, *, environment: str = "", dry_run: bool = False
    ) -> list[manifest_service_pb2.AppliedObject]:
        """Writes manifests (YAML or JSON), all or none.

        Raises InvalidArgument for a wrong one, and Conflict for one that a user's file defines. A dry run
        writes nothing, and gives changed fields and plan of each, also of what a file defines.
        """
        request = manifest_service_pb2.ApplyRequest(
            documents=documents, environment=environment, dry_run=dry_run
        )
        response = self.transport.unary(self.transport.manifests.Apply, request, CALL_SECONDS)
        return list(response.objects)

    def delete(
        self, keys: Iterable[object_pb2.ObjectKey], *, dry_run: bool = False
    ) -> list[manifest_service_pb2.AppliedObject]:
        """Removes manifests that Apply wrote, and does not wait.

        A dry run removes nothing, and gives the plan for each object.
        """
        request = manifest_service_pb2.DeleteRequest(keys=keys, dry_run=dry_run)
        response = self.transport.unary(self.transport.manifests.Delete, request, CALL_SECONDS)
        return list(response.objects)

    def run_job(self, key: object_pb2.ObjectKey) -> None:
        """Makes a job that Apply wrote run again. Raises Conflict for one that a user's file defines."""
        request = manifest_service_pb2.RunJobRequest(key=key)
        self.transport.unary(self.transport.manifests.RunJob, request, CALL_SECONDS)

    def get(self, key: object_pb2.ObjectKey) -> object_pb2.Object:
        """One object. Raises NotFound."""
        request = manifest_service_pb2.GetRequest(key=key)
        response = self.transport.unary(self.transport.manifests.Get, request, CALL_SECONDS)
        return response.object

    def list_objects(self, environment: str = "", kind: str = "") -> list[object_pb2.Object]:
        """The objects that match, sorted by key; empty is all."""
        request = manifest_service_pb2.ListRequest(environment=environment, kind=kind)
        response = self.transport.unary(self.transport.manifests.List, request, CALL_SECONDS)
        return list(response.objects)

    def wait_known(self, key: object_pb2.ObjectKey, timeout: float) -> object_pb2.Object:
        """The object, once a manifest defines it. Raises NotFound when none does within `timeout` seconds."""
        request = manifest_service_pb2.WatchRequest(environment=key.environment, kind=key.kind)
        watch = self.transport.manifests.Watch
        try:
            with self.transport.stream(watch, request, timeout) as responses:
                for response in responses:
                    if response.HasField("object") and response.object.key == key:
                        return response.object
        except WaitTimeout:
            pass
        raise NotFound(f"no manifest defined {key.kind} {key.name} in {key.environment} within {timeout:g} s")

    def wait(
        self, keys: Iterable[object_pb2.ObjectKey], goal: Goal, timeout: float
    ) -> dict[str, object_pb2.Object]:
        """Waits at most `timeout` seconds until all objects meet the goal; gives them by name.

        Raises WaitFailed at once when one never can, WaitTimeout, and NotFound for an unknown key; the
        error's text has the evidence.
        """
        keys = list(keys)
        request = wait_service_pb2.WaitConditionsRequest(keys=keys, goal=GOALS[goal])
        seen: dict[str, wait_service_pb2.WaitConditionsResponse] = {}
        started = time.monotonic()
        method = self.transport.waits.WaitConditions
        try:
            with self.transport.stream(method, request, timeout + DEADLINE_MARGIN) as responses:
                for response in responses:
                    seen[response.object.key.name] = response
        except (WaitFailed, WaitTimeout, NotFound, Unavailable) as error:
            seconds = time.monotonic() - started
            logs = self._log_ends(seen) if isinstance(error, WaitTimeout) else {}
            raise evidence.explain_wait(error, keys, goal, seconds, seen, logs) from None
        return {name: response.object for name, response in seen.items()}

    def _log_ends(self, seen: Mapping[str, wait_service_pb2.WaitConditionsResponse]) -> dict[str, list[str]]:
        """The last log lines of what runs and was not as asked in time, by name; of a few."""
        late = [response.object for response in seen.values() if not response.met]
        running = [found.key for found in late if found.status.container.state == "running"]
        logs: dict[str, list[str]] = {}
        for key in running[:_MOST_LOGS]:
            try:
                text = output(self.transport, key, tail=evidence.LOG_LINES, timeout=_LOG_SECONDS)
                logs[key.name] = text.splitlines()
            except E2EError as error:  # such as that the engine is gone, which explains the timeout
                logs[key.name] = [f"(the log could not be read: {error.message})"]
        return logs

    def bundle(self, environment: str, path: str | Path | None = None, *, log_bytes: int = 0) -> Path:
        """Writes an archive of all that is known of an environment; gives its path.

        Args:
            environment: its name.
            path: a `.tar.gz`; None is `<environment>-evidence.tar.gz` in the working directory.
            log_bytes: how much of the end of each log; 0 is the most that the controller gives.

        Raises NotFound for an environment that is not there, and E2EError where the file cannot be written.
        """
        target = target_path(path, environment)
        request = evidence_service_pb2.CollectEvidenceRequest(environment=environment, log_bytes=log_bytes)
        method = self.transport.evidence.CollectEvidence
        with BundleWriter(target, environment) as writer:
            with self.transport.stream(method, request, BUNDLE_SECONDS) as responses:
                for response in responses:
                    in_thread(writer.add, response.path, response.data)
            in_thread(writer.add_log, self.target.log)
        return target

    def controller_metrics(self) -> str:
        """The page of the controller's own metrics, in Prometheus' text format."""
        request = evidence_service_pb2.GetControllerMetricsRequest()
        method = self.transport.evidence.GetControllerMetrics
        return (self.transport.unary(method, request, CALL_SECONDS)).page

    def hold(
        self, environment: str, *, fresh: bool, keep: bool, timeout: float
    ) -> Held[environment_service_pb2.HoldResponse]:
        """Claims an environment until the result is released. Raises Conflict while another holds it."""
        request = environment_service_pb2.HoldRequest(environment=environment, fresh=fresh, keep=keep)
        return self.transport.hold(self.transport.environments.Hold, request, timeout)

    def list_environments(self) -> list[environment_service_pb2.EnvironmentSummary]:
        """The environments that have objects."""
        request = environment_service_pb2.ListEnvironmentsRequest()
        method = self.transport.environments.ListEnvironments
        response = self.transport.unary(method, request, CALL_SECONDS)
        return list(response.environments)

    def delete_environment(self, environment: str) -> None:
        """Deletes what Apply wrote for an environment, and does not wait."""
        request = environment_service_pb2.DeleteEnvironmentRequest(environment=environment)
        method = self.transport.environments.DeleteEnvironment
        self.transport.unary(method, request, CALL_SECONDS)
